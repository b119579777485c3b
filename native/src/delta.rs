//! Encoding new content against an old signature, and signing it at the same time.
//!
//! The encoder follows the old file block by block where it believes to be in step
//! with it (at the beginning, and after each match), and searches byte by byte where
//! it is not. A single unequal block between equal ones is written as a literal
//! without a search.

use crate::commands::Commands;
use crate::digest::{digest_one, Digest};
use crate::index::{Index, OldSignature};
use crate::level;
use crate::signature::{Builder, Format};
use crate::weak::{Strip, Suffix, STRIP};

mod follow;

/// With longer old blocks nothing is searched for: the new content becomes a literal.
/// (Such blocks are a sixty-four terabyte file's.)
const LONGEST_OLD_BLOCK: usize = 8 << 20;
/// New content is worked on when this much has come together.
const GATHER: usize = 1 << 18;
/// Literals are kept back to this length, to be written as one command.
const LITERAL: usize = 1 << 16;
/// Blocks hashed ahead when following: few at first, for each failure wastes them.
const FIRST_AHEAD: usize = 8;
const MOST_AHEAD: usize = 512;
/// Bytes hashed in vain that the search allows itself, at first and per new byte. A
/// crafted signature could otherwise ask for a block's hash at every single byte.
const FIRST_CREDIT: u64 = 32 << 20;
const CREDIT_PER_BYTE: u64 = 4;

pub struct Encoder {
    old: OldSignature,
    index: Option<Index>,
    builder: Builder,
    new_format: Format,
    /// The new signature's sums serve for comparison with the old one.
    same_blocks: bool,
    /// New content from absolute position `start`: written up to `literal`, to become
    /// a literal up to `position`, not looked at beyond.
    window: Vec<u8>,
    start: u64,
    literal: usize,
    position: usize,
    /// The old block that should begin at `position`.
    expected: Option<usize>,
    ahead: usize,
    credit: u64,
    commands: Commands,
}

impl Encoder {
    pub fn new(old: OldSignature, new_format: Format) -> Self {
        let same_blocks =
            old.format.kind == new_format.kind && old.format.block_len == new_format.block_len;
        let mut builder = Builder::new(new_format, true);
        if same_blocks {
            builder.keep_sums();
        }
        Self {
            old,
            index: None,
            builder,
            new_format,
            same_blocks,
            window: Vec::new(),
            start: 0,
            literal: 0,
            position: 0,
            expected: Some(0),
            ahead: FIRST_AHEAD,
            credit: FIRST_CREDIT,
            commands: Commands::new(),
        }
    }

    pub fn take_signature(&mut self) -> Vec<u8> {
        self.builder.take()
    }

    pub fn size(&self) -> u64 {
        self.builder.size()
    }

    /// Returns the delta's next bytes, perhaps none.
    pub fn feed(&mut self, data: &[u8]) -> Vec<u8> {
        for piece in data.chunks(1 << 20) {
            self.builder.update(piece);
            self.take_in(piece);
        }
        self.commands.take()
    }

    /// As `feed`, with what `block_sums` has made of the whole blocks in `data`.
    pub fn feed_summed(&mut self, data: &[u8], sums: &[u8]) -> Result<Vec<u8>, String> {
        self.builder.update_summed(data, sums)?;
        self.take_in(data);
        Ok(self.commands.take())
    }

    fn take_in(&mut self, data: &[u8]) {
        let credit = data.len() as u64 * CREDIT_PER_BYTE;
        self.credit = self.credit.saturating_add(credit);
        let done = self.follow_sums(data);
        self.window.extend_from_slice(&data[done..]);
        let enough = GATHER.max(3 * self.search_block_len());
        if self.window.len() - self.position >= enough {
            self.advance(false);
        }
    }

    /// Returns the rest of the delta and the content hash.
    pub fn finish(&mut self) -> (Vec<u8>, Digest) {
        self.advance(true);
        self.flush_literal(self.window.len());
        self.commands.end();
        let hash = self.builder.finish().unwrap_or_default();
        (self.commands.take(), hash)
    }

    /// The old block length as far as it decides how much content must be at hand.
    fn search_block_len(&self) -> usize {
        if self.can_match() {
            self.old.format.block_len
        } else {
            0
        }
    }

    fn can_match(&self) -> bool {
        self.old.blocks > 0 && self.old.format.block_len <= LONGEST_OLD_BLOCK
    }

    /// Decides about as much of the window as is possible: all of it when `last`.
    fn advance(&mut self, last: bool) {
        if self.can_match() {
            if self.same_blocks {
                self.builder.flush();
            }
            loop {
                let decided = match self.expected {
                    Some(block) => self.follow(block, last),
                    None => self.search(last),
                };
                if !decided {
                    break;
                }
            }
        } else {
            self.position = self.window.len();
        }
        if self.position - self.literal >= LITERAL {
            self.flush_literal(self.position);
        }
        self.window.drain(..self.literal);
        self.start += self.literal as u64;
        self.position -= self.literal;
        self.literal = 0;
        if self.same_blocks {
            let position = self.start + self.position as u64;
            self.builder
                .drop_sums_before(position / self.new_format.block_len as u64);
        }
    }

    fn available(&self) -> usize {
        self.window.len() - self.position
    }

    fn is_block(&self, content: &[u8], block: usize) -> bool {
        let (level, kind) = (level::current(), self.old.format.kind);
        kind.weak.of(level, content) == self.old.weak(block)
            && digest_one(level, kind.strong, content)[..self.old.format.strong_len]
                == *self.old.strong(block)
    }

    /// Looks for any old block at each byte from `position`. False: nothing more can be
    /// decided with the content at hand.
    fn search(&mut self, last: bool) -> bool {
        let block_len = self.old.format.block_len;
        if self.available() < block_len {
            if last {
                self.find_short_end();
            }
            return false;
        }
        let index = self.index.take().unwrap_or_else(|| Index::new(&self.old));
        let found = self.scan(&index);
        self.index = Some(index);
        match found {
            Some((offset, block)) => {
                self.position += offset;
                self.copy_blocks(block, 1);
                true
            }
            None => {
                self.position = self.window.len() - (block_len - 1);
                last
            }
        }
    }

    /// The first offset from `position` at which an old block stands, and the block.
    fn scan(&mut self, index: &Index) -> Option<(usize, usize)> {
        let window = std::mem::take(&mut self.window);
        let found = self.scan_content(index, &window[self.position..]);
        self.window = window;
        found
    }

    /// `content` must hold at least one block.
    fn scan_content(&mut self, index: &Index, content: &[u8]) -> Option<(usize, usize)> {
        let (level, block_len) = (level::current(), self.old.format.block_len);
        let weak = self.old.format.kind.weak;
        let mut strip = Strip::new(weak, block_len, weak.of(level, &content[..block_len]));
        let mut hits = [0u16; STRIP + 1];
        let (mut out, mut into) = (content, &content[block_len..]);
        loop {
            let start = content.len() - out.len();
            let steps = into.len().min(STRIP);
            strip.fill(level, &out[..steps], &into[..steps]);
            // The sum after a full strip is the first of the next one.
            let sums = &strip.sums[..steps + usize::from(steps == into.len())];
            let count = index.sieve(level, sums, &mut hits);
            for hit in hits[..count].iter().map(|&hit| usize::from(hit)) {
                let block = &content[start + hit..start + hit + block_len];
                if let Some(found) = self.look_up(index, sums[hit], block) {
                    return Some((start + hit, found));
                }
            }
            if steps == into.len() {
                return None;
            }
            strip.sums[0] = strip.sums[STRIP];
            (out, into) = (&out[steps..], &into[steps..]);
        }
    }

    fn look_up(&mut self, index: &Index, weak: u32, content: &[u8]) -> Option<usize> {
        let cost = content.len() as u64;
        let old = &self.old;
        if cost > self.credit || index.candidates(old, weak).next().is_none() {
            return None;
        }
        let digest = digest_one(level::current(), old.format.kind.strong, content);
        let strong = &digest[..old.format.strong_len];
        let is_equal = |block: &usize| old.weak(*block) == weak && old.strong(*block) == strong;
        // In a run of equal blocks the one after the last copy keeps copies together.
        let following = self
            .commands
            .copied_up_to()
            .map(|end| usize::try_from(end / old.format.block_len as u64).unwrap_or(usize::MAX));
        let found = following
            .filter(|block| *block < old.full_blocks() && is_equal(block))
            .or_else(|| index.candidates(old, weak).find(is_equal));
        if found.is_none() {
            self.credit -= cost;
        }
        found
    }

    /// At the very end the old file's last block may stand, and it may be short.
    fn find_short_end(&mut self) {
        let block = self.old.blocks - 1;
        let weak = self.old.weak(block);
        let most = self.available().min(self.old.format.block_len - 1);
        let mut suffix = Suffix::new(self.old.format.kind.weak);
        let mut found = None;
        for length in 1..=most {
            let from = self.window.len() - length;
            let sum = suffix.prepend(self.window[from]);
            let possible = self.old.last_len.map_or(true, |known| known == length);
            if sum != weak || !possible || length as u64 > self.credit {
                continue;
            }
            if self.is_block(&self.window[from..], block) {
                found = Some(length);
            } else {
                self.credit -= length as u64;
            }
        }
        if let Some(length) = found {
            self.position = self.window.len() - length;
            self.copy_bytes(block, length);
        }
        self.position = self.window.len();
    }

    fn copy_blocks(&mut self, block: usize, count: usize) {
        self.copy_bytes(block, count * self.old.format.block_len);
        self.expected = Some(block + count);
    }

    /// The content from `position` is what the old file has from `block` on.
    fn copy_bytes(&mut self, block: usize, length: usize) {
        self.flush_literal(self.position);
        let from = block as u64 * self.old.format.block_len as u64;
        self.commands.copy(from, length as u64);
        self.position += length;
        self.literal = self.position;
    }

    /// Writes the literal that ends at window index `end`.
    fn flush_literal(&mut self, end: usize) {
        self.commands.literal(&self.window[self.literal..end]);
        self.literal = end;
    }
}
