//! What there is to know of files without opening them.

use std::ffi::CStr;
use std::os::fd::RawFd;

use crate::files::calls::status;
use crate::files::facts::nanoseconds;
use crate::files::Names;

/// Facts, and behind them device, links, blocks, and the device that it stands for;
/// unsigned ones as signed bits.
pub type Listed = [i64; 11];

/// The facts of each, up to the first that has none.
pub fn list_files(directory: RawFd, names: &Names) -> Vec<Listed> {
    let listed = names.iter().map(|name| listed(directory, name));
    listed.map_while(|found| found).collect()
}

// The types of these fields differ from system to system.
#[allow(clippy::unnecessary_cast)]
fn listed(directory: RawFd, name: &CStr) -> Option<Listed> {
    let found = status(directory, name).ok()?;
    Some([
        i64::from(found.st_mode),
        i64::from(found.st_uid),
        i64::from(found.st_gid),
        found.st_size as i64,
        nanoseconds(found.st_mtime as i64, found.st_mtime_nsec as i64)?,
        nanoseconds(found.st_ctime as i64, found.st_ctime_nsec as i64)?,
        found.st_ino as i64,
        found.st_dev as i64,
        found.st_nlink as i64,
        found.st_blocks as i64,
        found.st_rdev as i64,
    ])
}
