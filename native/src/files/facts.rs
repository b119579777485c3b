//! What is known of an open file, and whether it is one that may go through in a batch.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;

use crate::files::calls::list_attributes;

/// As `twofold.pipeline.known` packs them: mode, owner, group, size, times of
/// modification and change in nanoseconds, inode (as signed bits).
pub type Facts = [i64; 7];

const LONGEST_LIST: usize = 4096;
const SYSTEM: &[u8] = b"system.";
const KEPT_OF_SYSTEM: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

/// Names of attributes that are never stored.
pub struct Ignored(pub Vec<Vec<u8>>);

impl Ignored {
    fn has(&self, name: &[u8]) -> bool {
        self.0.iter().any(|ignored| ignored == name)
            || (name.starts_with(SYSTEM) && !KEPT_OF_SYSTEM.contains(&name))
    }

    /// Whether the file has no attribute that would be stored. Too many to look at, and
    /// an error, mean no.
    pub fn all_of(&self, file: &File) -> bool {
        let mut list = [0; LONGEST_LIST];
        match list_attributes(file, &mut list) {
            Ok(length) => list[..length]
                .split_inclusive(|&byte| byte == 0)
                .all(|name| self.has(name.strip_suffix(b"\0").unwrap_or(name))),
            Err(_) => false,
        }
    }
}

/// None for a time that is not within 64 bits of nanoseconds.
pub fn facts_of(found: &Metadata) -> Option<Facts> {
    Some([
        i64::from(found.mode()),
        i64::from(found.uid()),
        i64::from(found.gid()),
        i64::try_from(found.size()).ok()?,
        nanoseconds(found.mtime(), found.mtime_nsec())?,
        nanoseconds(found.ctime(), found.ctime_nsec())?,
        found.ino() as i64,
    ])
}

/// None for what is not within 64 bits.
pub fn nanoseconds(seconds: i64, rest: i64) -> Option<i64> {
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    i64::try_from(total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_end_where_their_numbers_do() {
        assert_eq!(nanoseconds(-1, 999_999_999), Some(-1));
        assert_eq!(nanoseconds(9_223_372_036, 854_775_807), Some(i64::MAX));
        assert_eq!(nanoseconds(9_223_372_036, 854_775_808), None);
        assert_eq!(nanoseconds(i64::MIN, 0), None);
    }

    #[test]
    fn of_the_system_namespace_only_access_lists_are_attributes() {
        let ignored = Ignored(vec![b"security.selinux".to_vec()]);
        assert!(ignored.has(b"security.selinux"));
        assert!(ignored.has(b"system.nfs4_acl"));
        assert!(!ignored.has(b"system.posix_acl_access"));
        assert!(!ignored.has(b"user.a"));
        assert!(!ignored.has(b"security.selinux2"));
    }
}
