//! Names of files in one directory, as system calls want them.

use std::ffi::CStr;

/// Names of one component each, ended by NUL, one behind the other.
#[derive(Default)]
pub struct Names {
    joined: Vec<u8>,
    ends: Vec<usize>,
}

impl Names {
    /// False, and nothing added, for what is no name of one component.
    pub fn push(&mut self, name: &[u8]) -> bool {
        if matches!(name, b"" | b"." | b"..") || name.contains(&0) || name.contains(&b'/') {
            return false;
        }
        self.joined.extend_from_slice(name);
        self.joined.push(0);
        self.ends.push(self.joined.len());
        true
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &CStr> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let bounds = starts.zip(&self.ends);
        bounds.map(|(start, &end)| {
            CStr::from_bytes_with_nul(&self.joined[start..end]).expect("a name has no NUL within")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_in_order() {
        let mut names = Names::default();
        assert!(names.push(b"a") && names.push(b"...") && names.push(b"b c\xff"));
        let found: Vec<&[u8]> = names.iter().map(CStr::to_bytes).collect();
        assert_eq!(found, [&b"a"[..], b"...", b"b c\xff"]);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let mut names = Names::default();
        for wrong in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0", b"\0"] {
            assert!(!names.push(wrong));
        }
        assert_eq!(names.len(), 0);
    }
}
