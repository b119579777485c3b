//! Compares files with what they should hold.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;

use crate::files::calls::{open, uninterrupted};
use crate::files::facts::{facts_of, Facts};
use crate::files::{Names, Place};

/// Bytes that are read at a time.
const SCRATCH: usize = 256 << 10;

/// The facts of the files up to the first that is out of the ordinary or cannot be read,
/// and whether each has the content that stands at the same place in `contents`.
pub fn compare_files(place: &Place, names: &Names, contents: &[&[u8]]) -> Vec<(Facts, bool)> {
    let mut files = Vec::with_capacity(contents.len());
    let longest = contents.iter().map(|content| content.len()).max();
    // One more, so that the end of the file is met with the same call.
    let mut scratch = vec![0; longest.map_or(0, |length| SCRATCH.min(length + 1))];
    for (name, content) in names.iter().zip(contents) {
        let Some(result) = compare_file(place, name, content, &mut scratch) else {
            break;
        };
        files.push(result);
    }
    files
}

fn compare_file(
    place: &Place,
    name: &CStr,
    content: &[u8],
    scratch: &mut [u8],
) -> Option<(Facts, bool)> {
    let file = open(place.directory, name, place.flags, 0).ok()?;
    let found = file.metadata().ok()?;
    if !found.is_file() || !place.ignored.all_of(&file) {
        return None;
    }
    let facts = facts_of(&found)?;
    let same = found.size() == content.len() as u64 && holds(file, content, scratch).ok()?;
    Some((facts, same))
}

/// Whether the file holds this content and no more.
fn holds(mut file: File, mut content: &[u8], scratch: &mut [u8]) -> io::Result<bool> {
    loop {
        let wanted = scratch.len().min(content.len().saturating_add(1));
        let length = uninterrupted(|| file.read(&mut scratch[..wanted]))?;
        if length == 0 {
            return Ok(content.is_empty());
        }
        if content.get(..length) != Some(&scratch[..length]) {
            return Ok(false);
        }
        content = &content[length..];
    }
}
