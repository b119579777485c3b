//! The system calls that the standard library does not offer.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// Repeats a call that a signal has interrupted.
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

pub fn open(directory: RawFd, name: &CStr, flags: i32, mode: u32) -> io::Result<File> {
    let descriptor = uninterrupted(|| {
        // Safety: the name ends with NUL and outlives the call.
        let result = unsafe { libc::openat(directory, name.as_ptr(), flags, mode) };
        known(result)
    })?;
    // Safety: it is new, and nobody else's.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(descriptor) }))
}

/// Closes, and says what the drop of a file keeps quiet: a file system may tell only here
/// that it has not written what it took.
pub fn close(file: File) -> io::Result<()> {
    // Safety: the descriptor is ours and is not used again.
    match known(unsafe { libc::close(file.into_raw_fd()) }) {
        // It is closed all the same (Linux), or in an unknown state: never to be repeated.
        Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

pub fn remove(directory: RawFd, name: &CStr) -> io::Result<()> {
    // Safety: the name ends with NUL and outlives the call.
    known(unsafe { libc::unlinkat(directory, name.as_ptr(), 0) }).map(drop)
}

/// What lstat says.
pub fn status(directory: RawFd, name: &CStr) -> io::Result<libc::stat> {
    let mut found = std::mem::MaybeUninit::uninit();
    uninterrupted(|| {
        let flags = libc::AT_SYMLINK_NOFOLLOW;
        // Safety: the name ends with NUL and outlives the call, `found` has the right size.
        known(unsafe { libc::fstatat(directory, name.as_ptr(), found.as_mut_ptr(), flags) })
    })?;
    // Safety: the call has filled it.
    Ok(unsafe { found.assume_init() })
}

/// How much of `buffer` the names of a file's attributes take, each ended by NUL; none
/// where the file system has none.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn list_attributes(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    // Safety: the kernel writes into the buffer and not beyond.
    let length =
        unsafe { libc::flistxattr(file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(length).or_else(|_| {
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EOPNOTSUPP | libc::ENOSYS) => Ok(0),
            _ => Err(error),
        }
    })
}

/// Elsewhere Python knows no attributes either.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn list_attributes(_file: &File, _buffer: &mut [u8]) -> io::Result<usize> {
    Ok(0)
}

fn known(result: i32) -> io::Result<i32> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
