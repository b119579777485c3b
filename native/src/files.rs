//! Many small files with one call each way, so that the interpreter lock is let go once
//! for all of them: between Python's own system calls another thread would have to be
//! waited for at every single one. `twofold.tree.bulk` documents the functions.
//!
//! Nothing here decides what is stored: whatever is out of the ordinary ends the batch,
//! and the general way in Python meets it again.

mod calls;
mod compare;
mod facts;
mod list;
mod names;
mod read;
mod write;

pub use compare::compare_files;
pub use facts::{Facts, Ignored};
pub use list::list_files;
pub use names::Names;
pub use read::{read_files, Room};
pub use write::{write_files, Attributes};

use std::os::fd::RawFd;

/// Where files are opened, and how.
pub struct Place<'a> {
    pub directory: RawFd,
    pub flags: i32,
    pub ignored: &'a Ignored,
}
