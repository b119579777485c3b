//! `twofold._native`: signatures, deltas and patches for twofold.rsync, and batches of
//! small files for twofold.tree.bulk, which document every function. Wrong arguments and
//! corrupt input raise ValueError, failed reads and writes of patches OSError.

mod blake2b;
mod commands;
mod composition;
mod delta;
mod digest;
mod files;
mod index;
mod lanes;
#[cfg(target_arch = "x86_64")]
mod lanes_x86;
mod level;
mod many;
mod md4;
mod members;
mod patch;
mod plain_headers;
mod python;
mod read_commands;
mod signature;
mod weak;
