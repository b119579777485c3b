//! `twofold._native`: signatures, deltas and patches for twofold.rsync, which documents
//! every function. Wrong arguments and corrupt input raise ValueError, failed reads and
//! writes OSError.

mod blake2b;
mod commands;
mod delta;
mod digest;
mod index;
mod lanes;
#[cfg(target_arch = "x86_64")]
mod lanes_x86;
mod level;
mod many;
mod md4;
mod patch;
mod python;
mod signature;
mod weak;
