//! Making one signature and content hash, piece by piece.

use crate::digest::{digest_many, Digest, Running, Strong};
use crate::level;
use crate::weak::Weak;

pub const HEADER: usize = 12;

/// Blocks longer than this are hashed as they arrive, one at a time; shorter ones
/// are kept until there are enough of them to fill the lanes.
const LONG_BLOCK: usize = 1 << 20;
pub const GATHER_BLOCKS: usize = 16;
pub const GATHER_BYTES: usize = 1 << 17;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub magic: u32,
    pub weak: Weak,
    pub strong: Strong,
}

impl Kind {
    pub fn from_magic(magic: u32) -> Option<Kind> {
        let (weak, strong) = match magic {
            0x7273_0136 => (Weak::Rollsum, Strong::Md4),
            0x7273_0137 => (Weak::Rollsum, Strong::Blake2b),
            0x7273_0146 => (Weak::RabinKarp, Strong::Md4),
            0x7273_0147 => (Weak::RabinKarp, Strong::Blake2b),
            _ => return None,
        };
        Some(Kind {
            magic,
            weak,
            strong,
        })
    }

    /// Bytes that `block_sums` writes for a block.
    pub fn sums_len(self) -> usize {
        match self.strong {
            Strong::Md4 => 4 + 16 + 32,
            Strong::Blake2b => 4 + 32,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    pub kind: Kind,
    pub block_len: usize,
    pub strong_len: usize,
}

impl Format {
    pub fn new(magic: u32, block_len: u64, strong_len: u64) -> Result<Format, String> {
        let Some(kind) = Kind::from_magic(magic) else {
            return Err(format!("Unknown signature kind {magic:#010x}"));
        };
        let block_len = check_block_len(block_len)?;
        if strong_len == 0 || strong_len > kind.strong.digest_len() as u64 {
            return Err(format!(
                "Strong sums of {strong_len} bytes are not possible"
            ));
        }
        Ok(Format {
            kind,
            block_len,
            strong_len: strong_len as usize,
        })
    }

    pub fn entry_len(&self) -> usize {
        4 + self.strong_len
    }

    pub fn write_header(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.kind.magic.to_be_bytes());
        out.extend_from_slice(&(self.block_len as u32).to_be_bytes());
        out.extend_from_slice(&(self.strong_len as u32).to_be_bytes());
    }

    pub fn write_entry(&self, weak: u32, strong: &Digest, out: &mut Vec<u8>) {
        out.extend_from_slice(&weak.to_be_bytes());
        out.extend_from_slice(&strong[..self.strong_len]);
    }
}

pub fn check_block_len(block_len: u64) -> Result<usize, String> {
    if block_len == 0 || block_len > 1 << 31 {
        return Err(format!("Blocks of {block_len} bytes are not possible"));
    }
    Ok(block_len as usize)
}

/// The end of what the content hash covers, after the block hashes: last, because a
/// stream's size is known only then.
pub fn content_end(size: u64, block_len: usize) -> [u8; 12] {
    let mut end = [0; 12];
    end[..8].copy_from_slice(&size.to_be_bytes());
    end[8..].copy_from_slice(&(block_len as u32).to_be_bytes());
    end
}

/// Both sums of one block.
#[derive(Clone, Copy)]
pub struct Sums {
    pub weak: u32,
    pub strong: Digest,
}

/// A block too long to be kept.
struct LongBlock {
    weak: u32,
    strong: Running,
    /// Only where the strong sum is another function.
    hash: Option<Running>,
    length: usize,
}

/// Makes one signature, and the content hash if wanted.
pub struct Builder {
    format: Format,
    /// False where only the content hash is wanted.
    signs: bool,
    content: Option<Running>,
    pending: Vec<u8>,
    long: Option<LongBlock>,
    out: Vec<u8>,
    size: u64,
    /// Sums of the blocks since `kept_from`, for the delta encoder.
    kept: Option<Vec<Sums>>,
    kept_from: u64,
    strong: Vec<Digest>,
    hashes: Vec<Digest>,
}

impl Builder {
    pub fn new(format: Format, with_hash: bool) -> Self {
        let mut out = Vec::new();
        format.write_header(&mut out);
        Self {
            format,
            signs: true,
            content: with_hash.then(|| Running::new(Strong::Blake2b)),
            pending: Vec::new(),
            long: None,
            out,
            size: 0,
            kept: None,
            kept_from: 0,
            strong: Vec::new(),
            hashes: Vec::new(),
        }
    }

    /// Makes the content hash alone.
    pub fn of_content(block_len: usize) -> Self {
        let kind = Kind {
            magic: 0,
            weak: Weak::RabinKarp,
            strong: Strong::Blake2b,
        };
        let format = Format {
            kind,
            block_len,
            strong_len: 0,
        };
        let mut builder = Self::new(format, true);
        builder.signs = false;
        builder
    }

    /// From now on the sums of finished blocks can be asked for.
    pub fn keep_sums(&mut self) {
        self.kept = Some(Vec::new());
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// As `update`; `sums` are what `block_sums` has made of the whole blocks in `data`,
    /// which must begin where a block does.
    pub fn update_summed(&mut self, data: &[u8], sums: &[u8]) -> Result<(), String> {
        let (kind, block_len) = (self.format.kind, self.format.block_len);
        // Whole blocks wait for more of them to be hashed side by side; a part of one must not be there.
        self.flush();
        if !self.pending.is_empty() || self.long.is_some() {
            return Err("Sums of blocks can only be taken where a block begins".to_string());
        }
        let whole = data.len() / block_len;
        if sums.len() != whole * kind.sums_len() {
            return Err(format!("Sums of {whole} blocks are needed"));
        }
        self.size += (whole * block_len) as u64;
        for sums in sums.chunks_exact(kind.sums_len()) {
            let (weak, digests) = sums.split_at(4);
            let (strong, blake) = digests.split_at(kind.strong.digest_len());
            let hash = (!blake.is_empty()).then(|| to_digest(blake));
            self.finish_block(word(weak), to_digest(strong), hash);
        }
        self.update(&data[whole * block_len..]);
        Ok(())
    }

    pub fn update(&mut self, mut data: &[u8]) {
        self.size += data.len() as u64;
        if self.format.block_len > LONG_BLOCK {
            self.update_long(data);
            return;
        }
        let block_len = self.format.block_len;
        let gather = block_len * (GATHER_BYTES / block_len).clamp(1, GATHER_BLOCKS);
        if !self.pending.is_empty() {
            let step = data.len().min(gather - self.pending.len());
            self.pending.extend_from_slice(&data[..step]);
            data = &data[step..];
            if self.pending.len() < gather {
                return;
            }
            self.flush();
        }
        let whole = if data.len() < gather {
            0
        } else {
            data.len() / block_len * block_len
        };
        self.hash_blocks(&data[..whole]);
        self.pending.extend_from_slice(&data[whole..]);
    }

    /// Hashes every whole block received so far, filled lanes or not.
    pub fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let whole = pending.len() / self.format.block_len * self.format.block_len;
        self.hash_blocks(&pending[..whole]);
        self.pending = pending;
        self.pending.drain(..whole);
    }

    /// Hashes the last, short block; returns the content hash if it was wanted.
    pub fn finish(&mut self) -> Option<Digest> {
        self.finish_long();
        self.flush();
        let pending = std::mem::take(&mut self.pending);
        self.hash_blocks(&pending);
        let mut content = self.content.take()?;
        content.update(&content_end(self.size, self.format.block_len));
        Some(content.finish())
    }

    /// The sums of block `number`, if it is whole, finished and not dropped.
    pub fn sums(&self, number: u64) -> Option<&Sums> {
        let index = number.checked_sub(self.kept_from)?;
        self.kept.as_ref()?.get(usize::try_from(index).ok()?)
    }

    /// Forgets the sums of the blocks before `number`.
    pub fn drop_sums_before(&mut self, number: u64) {
        if let Some(kept) = &mut self.kept {
            let count = number.saturating_sub(self.kept_from).min(kept.len() as u64);
            kept.drain(..count as usize);
            self.kept_from += count;
        }
    }

    /// `data`: blocks in full length, except that the very last may be short.
    fn hash_blocks(&mut self, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        let level = level::current();
        let blocks: Vec<&[u8]> = data.chunks(self.format.block_len).collect();
        let kind = self.format.kind;
        self.strong.resize(blocks.len(), [0; 32]);
        digest_many(level, kind.strong, &blocks, &mut self.strong);
        if kind.strong != Strong::Blake2b && self.content.is_some() {
            self.hashes.resize(blocks.len(), [0; 32]);
            digest_many(level, Strong::Blake2b, &blocks, &mut self.hashes);
        }
        for (number, block) in blocks.iter().enumerate() {
            let weak = match self.signs {
                true => kind.weak.of(level, block),
                false => 0,
            };
            let hash = self.hashes.get(number).copied();
            self.finish_block(weak, self.strong[number], hash);
        }
    }

    fn finish_block(&mut self, weak: u32, strong: Digest, hash: Option<Digest>) {
        if self.signs {
            self.format.write_entry(weak, &strong, &mut self.out);
        }
        if let Some(content) = &mut self.content {
            content.update(&hash.unwrap_or(strong));
        }
        if let Some(kept) = &mut self.kept {
            kept.push(Sums { weak, strong });
        }
    }

    fn update_long(&mut self, mut data: &[u8]) {
        let kind = self.format.kind;
        while !data.is_empty() {
            let hash_apart = self.content.is_some() && kind.strong != Strong::Blake2b;
            let block = self.long.get_or_insert_with(|| LongBlock {
                weak: kind.weak.empty(),
                strong: Running::new(kind.strong),
                hash: hash_apart.then(|| Running::new(Strong::Blake2b)),
                length: 0,
            });
            let (piece, rest) = data.split_at(data.len().min(self.format.block_len - block.length));
            block.weak = kind.weak.extend(level::current(), block.weak, piece);
            block.strong.update(piece);
            if let Some(hash) = &mut block.hash {
                hash.update(piece);
            }
            block.length += piece.len();
            if block.length == self.format.block_len {
                self.finish_long();
            }
            data = rest;
        }
    }

    fn finish_long(&mut self) {
        if let Some(block) = self.long.take() {
            let hash = block.hash.map(Running::finish);
            self.finish_block(block.weak, block.strong.finish(), hash);
        }
    }
}

fn word(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |word, &byte| word << 8 | u32::from(byte))
}

fn to_digest(bytes: &[u8]) -> Digest {
    let mut digest = [0; 32];
    digest[..bytes.len()].copy_from_slice(bytes);
    digest
}
