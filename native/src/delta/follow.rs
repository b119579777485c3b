//! Following the old file block by block, where the new content is in step with it.

use super::{Encoder, FIRST_AHEAD, MOST_AHEAD};
use crate::digest::digest_many;
use crate::level;

impl Encoder {
    /// In step with the old file and with the sums of its blocks at hand, content need not
    /// pass through the window. Returns how much of `data` has been dealt with so.
    pub(super) fn follow_sums(&mut self, data: &[u8]) -> usize {
        let block_len = self.old.format.block_len;
        let in_step = self.same_blocks && self.can_match() && self.start % block_len as u64 == 0;
        let Some(mut block) = self.expected.filter(|_| in_step && self.window.is_empty()) else {
            return 0;
        };
        let (mut done, total) = (0, data.len() / block_len);
        let first = self.start / block_len as u64;
        let full = self.old.full_blocks();
        let number = |done: usize| first + done as u64;
        loop {
            let count = (total - done).min(full.saturating_sub(block));
            let equal = self.count_equal_sums(number(done), block, count);
            if equal > 0 {
                let (from, length) = (block as u64, equal as u64);
                self.commands
                    .copy(from * block_len as u64, length * block_len as u64);
                (done, block) = (done + equal, block + equal);
            }
            if equal + 1 >= count || self.count_equal_sums(number(done + 1), block + 1, 1) == 0 {
                break;
            }
            self.commands
                .literal(&data[done * block_len..(done + 1) * block_len]);
            (done, block) = (done + 1, block + 1);
        }
        self.start += (done * block_len) as u64;
        self.expected = Some(block);
        self.builder.drop_sums_before(number(done));
        done * block_len
    }

    /// Compares the content at `position` with old blocks from `block` on. False: more
    /// content is needed to decide.
    pub(super) fn follow(&mut self, block: usize, last: bool) -> bool {
        let block_len = self.old.format.block_len;
        let full = self.old.full_blocks();
        if block >= full {
            return self.follow_short(block, last);
        }
        let ahead = (full - block)
            .min(self.ahead)
            .min(self.available() / block_len);
        if ahead == 0 {
            if last {
                self.expected = None;
            }
            return last;
        }
        let equal = self.count_equal(self.position, block, ahead);
        if equal > 0 {
            self.copy_blocks(block, equal);
        }
        if equal == ahead {
            self.ahead = (self.ahead * 2).min(MOST_AHEAD);
            return true;
        }
        self.ahead = FIRST_AHEAD;
        self.step_over(block + equal, last)
    }

    /// Old block `block` is not what stands at `position`: is the one after it in place?
    fn step_over(&mut self, block: usize, last: bool) -> bool {
        let block_len = self.old.format.block_len;
        let next_fits = self.available() >= 2 * block_len;
        if !next_fits && !last {
            self.expected = Some(block);
            return false;
        }
        let next_equal = next_fits
            && block + 1 < self.old.full_blocks()
            && self.count_equal(self.position + block_len, block + 1, 1) == 1;
        if next_equal {
            self.position += block_len;
            self.expected = Some(block + 1);
        } else {
            self.expected = None;
        }
        true
    }

    /// Beyond the full blocks: the last one, if it is known how short it is, or nothing.
    fn follow_short(&mut self, block: usize, last: bool) -> bool {
        if let (Some(length), true) = (self.old.last_len, block + 1 == self.old.blocks) {
            if self.available() < length && !last {
                return false;
            }
            if self.available() >= length {
                let content = &self.window[self.position..self.position + length];
                if self.is_block(content, block) {
                    self.copy_bytes(block, length);
                }
            }
        }
        self.expected = None;
        true
    }

    /// How many of `count` blocks at window index `at` equal the old ones from `block`.
    fn count_equal(&self, at: usize, block: usize, count: usize) -> usize {
        let position = self.start + at as u64;
        let block_len = self.old.format.block_len as u64;
        if self.same_blocks && position % block_len == 0 {
            return self.count_equal_sums(position / block_len, block, count);
        }
        self.count_equal_hashing(at, block, count)
    }

    /// How many of `count` blocks of the new content from `number` equal the old ones from
    /// `block`, as far as their sums are at hand.
    fn count_equal_sums(&self, number: u64, block: usize, count: usize) -> usize {
        let strong_len = self.old.format.strong_len;
        let equal = |i: &usize| {
            self.builder.sums(number + *i as u64).is_some_and(|sums| {
                sums.weak == self.old.weak(block + i)
                    && sums.strong[..strong_len] == *self.old.strong(block + i)
            })
        };
        (0..count).take_while(equal).count()
    }

    fn count_equal_hashing(&self, at: usize, block: usize, count: usize) -> usize {
        let (level, format) = (level::current(), self.old.format);
        let mut blocks: Vec<&[u8]> = Vec::with_capacity(count);
        for content in self.window[at..].chunks_exact(format.block_len).take(count) {
            if format.kind.weak.of(level, content) != self.old.weak(block + blocks.len()) {
                break;
            }
            blocks.push(content);
        }
        let mut digests = [[0; 32]; MOST_AHEAD];
        let digests = &mut digests[..blocks.len()];
        digest_many(level, format.kind.strong, &blocks, digests);
        let equal = |i: &usize| digests[*i][..format.strong_len] == *self.old.strong(block + i);
        (0..blocks.len()).take_while(equal).count()
    }
}
