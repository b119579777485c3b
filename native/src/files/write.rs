//! Makes restored files.

use std::ffi::CStr;
use std::fs::{File, FileTimes, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::RawFd;
use std::os::unix::fs::{fchown, MetadataExt, PermissionsExt};
use std::time::{Duration, SystemTime};

use crate::files::calls::{close, open, remove};
use crate::files::Names;

const FLAGS: i32 =
    libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC;
const AT_FIRST: u32 = 0o600;
const PRIVILEGE: u32 = 0o6000;
const SECOND: i64 = 1_000_000_000;

/// What a file shall be like. None leaves owner or group as the directory gives it.
pub struct Attributes {
    pub mode: u32,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub mtime_ns: i64,
}

/// How many files have been made, up to the first that something was refused for; of
/// that one nothing is left.
pub fn write_files(
    directory: RawFd,
    names: &Names,
    contents: &[&[u8]],
    attributes: &[Attributes],
) -> usize {
    let files = names.iter().zip(contents).zip(attributes);
    let made = files.take_while(|((name, content), attributes)| {
        make(directory, name, content, attributes).is_ok()
    });
    made.count()
}

fn make(directory: RawFd, name: &CStr, content: &[u8], attributes: &Attributes) -> io::Result<()> {
    if attributes.mode & PRIVILEGE != 0 {
        return Err(ErrorKind::Unsupported.into());
    }
    let modified = time_of(attributes.mtime_ns)?;
    let file = open(directory, name, FLAGS, AT_FIRST)?;
    let done = fill(&file, content, attributes, modified);
    // It is closed whatever has happened.
    let result = done.and(close(file));
    if result.is_err() {
        // That it cannot be taken back either is met again by whoever makes it anew.
        let _ = remove(directory, name);
    }
    result
}

/// Owner before mode: changing it may clear bits of the mode.
fn fill(
    mut file: &File,
    content: &[u8],
    attributes: &Attributes,
    modified: SystemTime,
) -> io::Result<()> {
    file.write_all(content)?;
    let (uid, gid) = (attributes.uid, attributes.gid);
    if uid.is_some() || gid.is_some() {
        let found = file.metadata()?;
        let other = |wanted: Option<u32>, has: u32| wanted.is_some_and(|wanted| wanted != has);
        if other(uid, found.uid()) || other(gid, found.gid()) {
            fchown(file, uid, gid)?;
        }
    }
    file.set_permissions(Permissions::from_mode(attributes.mode & 0o7777))?;
    file.set_times(FileTimes::new().set_modified(modified))
}

fn time_of(nanoseconds: i64) -> io::Result<SystemTime> {
    let seconds = Duration::from_secs(nanoseconds.div_euclid(SECOND).unsigned_abs());
    let whole = match nanoseconds < 0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(seconds),
        false => SystemTime::UNIX_EPOCH.checked_add(seconds),
    };
    let rest = Duration::from_nanos(nanoseconds.rem_euclid(SECOND).unsigned_abs());
    let time = whole.and_then(|whole| whole.checked_add(rest));
    time.ok_or_else(|| ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_the_epoch_keep_their_nanoseconds() {
        let epoch = SystemTime::UNIX_EPOCH;
        assert_eq!(time_of(-1).unwrap(), epoch - Duration::from_nanos(1));
        let second = Duration::from_nanos(1_000_000_001);
        assert_eq!(time_of(1_000_000_001).unwrap(), epoch + second);
        assert_eq!(time_of(-1_000_000_001).unwrap(), epoch - second);
        assert!(time_of(i64::MIN).is_ok() && time_of(i64::MAX).is_ok());
    }
}
