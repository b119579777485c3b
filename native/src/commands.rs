//! Writing a delta's commands, each in its shortest form, neighbouring copies as one.

pub const MAGIC: u32 = 0x7273_0236;

pub struct Commands {
    /// Position and length of the copy that may still grow.
    copy: Option<(u64, u64)>,
    out: Vec<u8>,
}

impl Commands {
    pub fn new() -> Self {
        Self {
            copy: None,
            out: MAGIC.to_be_bytes().to_vec(),
        }
    }

    /// What has been written since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Where the copy that may still grow ends in the old file.
    pub fn copied_up_to(&self) -> Option<u64> {
        self.copy.map(|(from, length)| from + length)
    }

    pub fn copy(&mut self, from: u64, length: u64) {
        match &mut self.copy {
            Some((start, so_far)) if *start + *so_far == from => *so_far += length,
            _ => {
                self.flush_copy();
                self.copy = Some((from, length));
            }
        }
    }

    /// Nothing for no data.
    pub fn literal(&mut self, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        self.flush_copy();
        if data.len() <= 0x40 {
            self.out.push(data.len() as u8);
        } else {
            let length = data.len() as u64;
            let (code, width) = shortest(length);
            self.out.push(0x41 + code);
            self.out
                .extend_from_slice(&length.to_be_bytes()[8 - width..]);
        }
        self.out.extend_from_slice(data);
    }

    pub fn end(&mut self) {
        self.flush_copy();
        self.out.push(0);
    }

    fn flush_copy(&mut self) {
        if let Some((from, length)) = self.copy.take() {
            let (from_code, from_width) = shortest(from);
            let (length_code, length_width) = shortest(length);
            self.out.push(0x45 + 4 * from_code + length_code);
            self.out
                .extend_from_slice(&from.to_be_bytes()[8 - from_width..]);
            self.out
                .extend_from_slice(&length.to_be_bytes()[8 - length_width..]);
        }
    }
}

/// The code of the shortest of the four widths that holds a number, and the width.
fn shortest(number: u64) -> (u8, usize) {
    match number {
        0..=0xff => (0, 1),
        0x100..=0xffff => (1, 2),
        0x1_0000..=0xffff_ffff => (2, 4),
        _ => (3, 8),
    }
}
