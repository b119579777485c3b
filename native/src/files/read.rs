//! Reads ordinary files to where their data belong in a tar archive.

use std::ffi::CStr;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use crate::files::calls::{open, uninterrupted};
use crate::files::facts::{facts_of, Facts};
use crate::files::{Names, Place};

const BLOCK: usize = 512;

/// Where data may be put: the first `gap` bytes behind `position`, and so on behind each
/// file and its padding, for as long as a file begins at or before `limit`. At most
/// `largest` bytes are read of a file, whole blocks, so that all must fit that would be
/// read behind `limit`.
pub struct Room<'a> {
    buffer: &'a mut [u8],
    position: usize,
    gap: usize,
    limit: usize,
    largest: usize,
}

impl<'a> Room<'a> {
    /// None where what may be read does not fit, or is no number of blocks.
    pub fn new(
        buffer: &'a mut [u8],
        position: usize,
        gap: usize,
        limit: usize,
        largest: usize,
    ) -> Option<Self> {
        let end = limit.checked_add(gap)?.checked_add(largest)?;
        let room = Self {
            buffer,
            position,
            gap,
            limit,
            largest,
        };
        (largest % BLOCK == 0 && end <= room.buffer.len()).then_some(room)
    }

    /// Where the next file's data go; None when there is no more room.
    fn next(&mut self) -> Option<&mut [u8]> {
        let start = self.position + self.gap;
        (self.position <= self.limit).then(|| &mut self.buffer[start..start + self.largest])
    }

    fn take(&mut self, size: usize) {
        self.position += self.gap + size.next_multiple_of(BLOCK);
    }
}

/// How many files have been read, up to the first that is not as listed, is out of the
/// ordinary, cannot be read, or has no room.
pub fn read_files(place: &Place, names: &Names, listed: &[Facts], mut room: Room) -> usize {
    let files = names.iter().zip(listed);
    let read = files.map_while(|(name, listed)| {
        let target = room.next()?;
        let size = read_file(place, name, listed, target)?;
        room.take(size);
        Some(())
    });
    read.count()
}

/// The size of the file whose data now stand in `target`, with zeros up to the block's
/// end.
fn read_file(place: &Place, name: &CStr, listed: &Facts, target: &mut [u8]) -> Option<usize> {
    let mut file = open(place.directory, name, place.flags, 0).ok()?;
    let found = file.metadata().ok()?;
    let size = usize::try_from(found.size()).ok()?;
    let ordinary = found.is_file()
        && found.nlink() == 1
        && size < target.len()
        && found.blocks().saturating_mul(BLOCK as u64) >= found.size()
        && facts_of(&found).as_ref() == Some(listed);
    if !ordinary || !place.ignored.all_of(&file) {
        return None;
    }
    // More is asked for than should come: a file that has grown is not what was listed.
    if uninterrupted(|| file.read(target)).ok()? != size {
        return None;
    }
    target[size..size.next_multiple_of(BLOCK)].fill(0);
    Some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_only_where_the_largest_file_fits() {
        let mut buffer = [0; 4096];
        assert!(Room::new(&mut buffer, 0, 1024, 2048, 1024).is_some());
        assert!(Room::new(&mut buffer, 0, 1025, 2048, 1024).is_none());
        assert!(Room::new(&mut buffer, 0, 0, 0, 1000).is_none());
        assert!(Room::new(&mut buffer, 0, usize::MAX, 1, 1).is_none());
    }

    #[test]
    fn no_file_begins_behind_the_limit() {
        let mut buffer = [0; 4096];
        let mut room = Room::new(&mut buffer, 1, 512, 1026, 512).unwrap();
        assert!(room.next().is_some());
        room.take(1);
        assert_eq!(room.position, 1025);
        assert!(room.next().is_some());
        room.take(0);
        assert!(room.next().is_none());
    }
}
