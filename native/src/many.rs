//! Sums and hashes of much at once: of all blocks in a buffer, of many small files.

use crate::digest::{digest_many, Digest, Strong};
use crate::level::{self, Level};
use crate::signature::{content_end, Format, Kind, GATHER_BLOCKS, GATHER_BYTES, HEADER};

/// The sums of the whole blocks in `data`, for `Builder::update_summed`: weak sum, strong
/// sum in full length, and BLAKE2b where the strong sum is another.
pub fn block_sums(kind: Kind, block_len: usize, data: &[u8]) -> Vec<u8> {
    let level = level::current();
    let mut sums = Vec::with_capacity(data.len() / block_len * kind.sums_len());
    let (mut strong, mut hashes) = (Vec::new(), Vec::new());
    // Few enough that a block's weak sum finds it in the cache still.
    let blocks: Vec<&[u8]> = data.chunks_exact(block_len).collect();
    for blocks in blocks.chunks((GATHER_BYTES / block_len).max(GATHER_BLOCKS)) {
        strong.resize(blocks.len(), [0; 32]);
        digest_many(level, kind.strong, blocks, &mut strong);
        if kind.strong != Strong::Blake2b {
            hashes.resize(blocks.len(), [0; 32]);
            digest_many(level, Strong::Blake2b, blocks, &mut hashes);
        }
        for (number, block) in blocks.iter().enumerate() {
            sums.extend_from_slice(&kind.weak.of(level, block).to_be_bytes());
            sums.extend_from_slice(&strong[number][..kind.strong.digest_len()]);
            hashes
                .get(number)
                .into_iter()
                .for_each(|hash| sums.extend_from_slice(hash));
        }
    }
    sums
}

/// One file within a shared buffer.
pub struct File<'a> {
    pub data: &'a [u8],
    pub block_len: usize,
}

/// The content hashes of many files, from their blocks' hashes in file order.
fn hash_contents(level: Level, files: &[File], hashes: &[Digest]) -> Vec<u8> {
    let mut lists: Vec<u8> = Vec::with_capacity(files.len() * 12 + hashes.len() * 32);
    let mut ends = Vec::with_capacity(files.len());
    let mut rest = hashes;
    for file in files {
        let (own, others) = rest.split_at(file.data.len().div_ceil(file.block_len).min(rest.len()));
        own.iter().for_each(|hash| lists.extend_from_slice(hash));
        lists.extend_from_slice(&content_end(file.data.len() as u64, file.block_len));
        ends.push(lists.len());
        rest = others;
    }
    let mut start = 0;
    let mut messages = Vec::with_capacity(files.len());
    for end in ends {
        messages.push(&lists[start..end]);
        start = end;
    }
    let mut contents = vec![[0; 32]; files.len()];
    digest_many(level, Strong::Blake2b, &messages, &mut contents);
    contents.concat()
}

fn blocks_of<'a>(files: &[File<'a>]) -> Vec<&'a [u8]> {
    files
        .iter()
        .flat_map(|file| file.data.chunks(file.block_len))
        .collect()
}

/// Content hashes of whole files, joined.
pub fn content_hashes(files: &[File]) -> Vec<u8> {
    let level = level::current();
    let blocks = blocks_of(files);
    let mut hashes = vec![[0; 32]; blocks.len()];
    digest_many(level, Strong::Blake2b, &blocks, &mut hashes);
    hash_contents(level, files, &hashes)
}

/// Signatures and content hashes of whole files, each joined. The block length in
/// `format` is not used: every file has its own.
pub fn sign_many(files: &[File], format: Format) -> (Vec<u8>, Vec<u8>) {
    let level = level::current();
    let blocks = blocks_of(files);
    let mut hashes = vec![[0; 32]; blocks.len()];
    digest_many(level, Strong::Blake2b, &blocks, &mut hashes);
    let mut other = Vec::new();
    if format.kind.strong != Strong::Blake2b {
        other.resize(blocks.len(), [0; 32]);
        digest_many(level, format.kind.strong, &blocks, &mut other);
    }
    let strong = if other.is_empty() { &hashes } else { &other };
    let size = files.len() * HEADER + blocks.len() * format.entry_len();
    let mut signatures = Vec::with_capacity(size);
    let mut sums = blocks.iter().zip(strong);
    for file in files {
        Format {
            block_len: file.block_len,
            ..format
        }
        .write_header(&mut signatures);
        let count = file.data.len().div_ceil(file.block_len);
        for (block, strong) in sums.by_ref().take(count) {
            let weak = format.kind.weak.of(level, block);
            format.write_entry(weak, strong, &mut signatures);
        }
    }
    (signatures, hash_contents(level, files, &hashes))
}
