//! Hashing many messages at once, one a lane, and one message piece by piece.

use crate::blake2b::Blake2b;
use crate::lanes::Plain32;
use crate::level::Level;
use crate::md4::Md4;

/// Room for 32 bytes; MD4 fills the first 16 and leaves the rest zero.
pub type Digest = [u8; 32];

/// The last one or two chunks of a message, with padding.
pub type Tail = [u8; 128];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strong {
    Md4,
    Blake2b,
}

impl Strong {
    pub fn digest_len(self) -> usize {
        match self {
            Strong::Md4 => 16,
            Strong::Blake2b => 32,
        }
    }
}

/// A hash function over `LANES` messages, in chunks of `CHUNK` bytes.
pub trait LaneHash<const CHUNK: usize, const LANES: usize>: Copy {
    fn new() -> Self;
    /// `counts`: bytes of the message up to the end of this chunk; `last`: all ones in
    /// the message's last chunk, else zero.
    fn compress(
        &mut self,
        chunks: &[&[u8; CHUNK]; LANES],
        counts: &[u64; LANES],
        last: &[u64; LANES],
    );
    /// Writes the final chunks for a `rest` of at most `CHUNK` bytes; returns how many.
    fn tail(rest: &[u8], total: u64, tail: &mut Tail) -> usize;
    /// The digests as little-endian words.
    fn words(&self) -> [[u64; 4]; LANES];
}

/// Chunks that are hashed straight from the message. At least one byte of a message
/// that is not empty stays for the tail: BLAKE2b must know its last chunk.
#[inline(always)]
fn body_chunks(length: usize, chunk: usize) -> usize {
    length.saturating_sub(1) / chunk
}

#[inline(always)]
fn to_digest(words: [u64; 4]) -> Digest {
    let mut digest = [0; 32];
    for (bytes, word) in digest.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

#[inline(always)]
fn chunk_at<const CHUNK: usize>(bytes: &[u8], index: usize) -> &[u8; CHUNK] {
    match bytes[index * CHUNK..(index + 1) * CHUNK].try_into() {
        Ok(chunk) => chunk,
        Err(_) => unreachable!(),
    }
}

/// Hashes the messages numbered in `group` (at most LANES); lanes left over idle.
#[inline(always)]
fn hash_group<H: LaneHash<CHUNK, LANES>, const CHUNK: usize, const LANES: usize>(
    messages: &[&[u8]],
    group: &[u32],
    out: &mut [Digest],
) {
    static ZEROS: Tail = [0; 128];
    let mut data: [&[u8]; LANES] = [&[]; LANES];
    let mut body = [0usize; LANES];
    let mut total = [0usize; LANES];
    let mut tails = [ZEROS; LANES];
    let mut shared = usize::MAX; // chunks that all lanes take from their messages
    let mut longest = 0;
    for (lane, &number) in group.iter().enumerate() {
        data[lane] = messages[number as usize];
        body[lane] = body_chunks(data[lane].len(), CHUNK);
        let rest = &data[lane][body[lane] * CHUNK..];
        total[lane] = body[lane] + H::tail(rest, data[lane].len() as u64, &mut tails[lane]);
        shared = shared.min(body[lane]);
        longest = longest.max(total[lane]);
    }
    if group.len() < LANES {
        // Idle lanes hash the first message once more, as far as it is shared.
        for lane in group.len()..LANES {
            data[lane] = data[0];
        }
    }
    let mut state = H::new();
    let running = [0u64; LANES];
    for index in 0..shared.min(longest) {
        let mut chunks = [chunk_at::<CHUNK>(&ZEROS, 0); LANES];
        for lane in 0..LANES {
            chunks[lane] = chunk_at(data[lane], index);
        }
        state.compress(&chunks, &[((index + 1) * CHUNK) as u64; LANES], &running);
    }
    for index in shared.min(longest)..longest {
        let mut chunks = [chunk_at::<CHUNK>(&ZEROS, 0); LANES];
        let mut counts = [0; LANES];
        let mut last = [0; LANES];
        for lane in 0..group.len() {
            if index < body[lane] {
                chunks[lane] = chunk_at(data[lane], index);
                counts[lane] = ((index + 1) * CHUNK) as u64;
            } else if index < total[lane] {
                chunks[lane] = chunk_at(&tails[lane], index - body[lane]);
                counts[lane] = data[lane].len() as u64;
                last[lane] = u64::MAX;
            }
        }
        state.compress(&chunks, &counts, &last);
        if (0..group.len()).any(|lane| total[lane] == index + 1) {
            let words = state.words();
            for (lane, &number) in group.iter().enumerate() {
                if total[lane] == index + 1 {
                    out[number as usize] = to_digest(words[lane]);
                }
            }
        }
    }
}

#[inline(always)]
fn hash_groups<H: LaneHash<CHUNK, LANES>, const CHUNK: usize, const LANES: usize>(
    messages: &[&[u8]],
    order: &[u32],
    out: &mut [Digest],
) {
    for group in order.chunks(LANES) {
        hash_group::<H, CHUNK, LANES>(messages, group, out);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;
    use crate::lanes_x86::{Avx2x16, Avx2x4, Avx2x8};

    /// # Safety
    /// The processor must have AVX2.
    #[target_feature(enable = "avx2")]
    pub unsafe fn md4_avx2(messages: &[&[u8]], order: &[u32], out: &mut [Digest]) {
        // Up to eight messages fit in half the lanes, for half the work.
        let full = if order.len() % 16 > 8 {
            order.len()
        } else {
            order.len() / 16 * 16
        };
        let (many, few) = order.split_at(full);
        hash_groups::<Md4<Avx2x16>, 64, 16>(messages, many, out);
        hash_groups::<Md4<Avx2x8>, 64, 8>(messages, few, out);
    }

    /// # Safety
    /// The processor must have AVX2.
    #[target_feature(enable = "avx2")]
    pub unsafe fn blake2b_avx2(messages: &[&[u8]], order: &[u32], out: &mut [Digest]) {
        hash_groups::<Blake2b<Avx2x4>, 128, 4>(messages, order, out);
    }

    #[cfg(have_avx512)]
    pub mod avx512 {
        use super::*;
        use crate::lanes_x86::avx512::{Avx512x16, Avx512x8};

        /// # Safety
        /// The processor must have AVX2 and AVX-512F.
        #[target_feature(enable = "avx2,avx512f")]
        pub unsafe fn md4(messages: &[&[u8]], order: &[u32], out: &mut [Digest]) {
            hash_groups::<Md4<Avx512x16>, 64, 16>(messages, order, out);
        }

        /// # Safety
        /// The processor must have AVX2 and AVX-512F.
        #[target_feature(enable = "avx2,avx512f")]
        pub unsafe fn blake2b(messages: &[&[u8]], order: &[u32], out: &mut [Digest]) {
            let full = if order.len() % 8 > 4 {
                order.len()
            } else {
                order.len() / 8 * 8
            };
            let (many, few) = order.split_at(full);
            hash_groups::<Blake2b<Avx512x8>, 128, 8>(messages, many, out);
            hash_groups::<Blake2b<Avx2x4>, 128, 4>(messages, few, out);
        }
    }
}

fn hash_ordered(
    level: Level,
    strong: Strong,
    messages: &[&[u8]],
    order: &[u32],
    out: &mut [Digest],
) {
    if level > Level::Portable && messages.len() > 1 {
        // Safety: a level above Portable is only ever selected when it is available.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            return match (strong, level) {
                #[cfg(have_avx512)]
                (Strong::Md4, Level::Avx512) => x86::avx512::md4(messages, order, out),
                #[cfg(have_avx512)]
                (Strong::Blake2b, Level::Avx512) => x86::avx512::blake2b(messages, order, out),
                (Strong::Md4, _) => x86::md4_avx2(messages, order, out),
                (Strong::Blake2b, _) => x86::blake2b_avx2(messages, order, out),
            };
        }
    }
    match strong {
        Strong::Md4 => hash_groups::<Md4<Plain32<4>>, 64, 4>(messages, order, out),
        Strong::Blake2b => hash_groups::<Blake2b<u64>, 128, 1>(messages, order, out),
    }
}

/// Hashes each message into the digest of the same number. `out` must be as long as
/// `messages`. Fast when neighbours have equal lengths, and not slow when they do not:
/// messages are brought together by length. Of those that are all zeros, of which images
/// and databases are full, one is hashed.
pub fn digest_many(level: Level, strong: Strong, messages: &[&[u8]], out: &mut [Digest]) {
    // A group's numbers are 32 bits wide to keep the sort cheap.
    const PART: usize = 1 << 20;
    let mut order: Vec<u32> = Vec::new();
    for (part, out) in messages.chunks(PART).zip(out.chunks_mut(PART)) {
        order.clear();
        order.extend(0..part.len() as u32);
        let chunks = |length: usize| length / 64;
        let first = part.first().map_or(0, |message| chunks(message.len()));
        if part.iter().any(|message| chunks(message.len()) != first) {
            order.sort_by_key(|&number| std::cmp::Reverse(chunks(part[number as usize].len())));
        }
        let (mut first_zeros, mut zeros) = (None, Vec::new());
        order.retain(|&number| {
            let message = part[number as usize];
            if !is_zeros(message) {
                return true;
            }
            let (first, length) = *first_zeros.get_or_insert((number, message.len()));
            let is_known = first != number && length == message.len();
            is_known.then(|| zeros.push((number, first)));
            !is_known
        });
        hash_ordered(level, strong, part, &order, out);
        for (number, first) in zeros {
            out[number as usize] = out[first as usize];
        }
    }
}

/// False as well for few bytes, which are not worth it.
fn is_zeros(message: &[u8]) -> bool {
    const PIECE: usize = 256;
    message.len() >= PIECE
        && message[0] == 0
        && message
            .chunks(PIECE)
            .all(|piece| piece.iter().fold(0, |sum, byte| sum | byte) == 0)
}

pub fn digest_one(level: Level, strong: Strong, message: &[u8]) -> Digest {
    let mut out = [[0; 32]];
    digest_many(level, strong, &[message], &mut out);
    out[0]
}

/// Whether an available level gives the portable digests, for a few messages.
pub fn is_right(level: Level) -> bool {
    let data: [u8; 289] = std::array::from_fn(|i| (i * 7) as u8);
    let messages: [&[u8]; 17] = std::array::from_fn(|i| &data[..i * 18]);
    [Strong::Md4, Strong::Blake2b].into_iter().all(|strong| {
        let (mut expected, mut found) = ([[0; 32]; 17], [[0; 32]; 17]);
        digest_many(Level::Portable, strong, &messages, &mut expected);
        digest_many(level, strong, &messages, &mut found);
        expected == found
    })
}

/// One message in pieces.
struct Pieces<H, const CHUNK: usize> {
    state: H,
    rest: [u8; CHUNK],
    filled: usize,
    total: u64,
}

impl<H: LaneHash<CHUNK, 1>, const CHUNK: usize> Pieces<H, CHUNK> {
    fn new() -> Self {
        Self {
            state: H::new(),
            rest: [0; CHUNK],
            filled: 0,
            total: 0,
        }
    }

    fn update(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.filled == CHUNK {
                self.state.compress(&[&self.rest], &[self.total], &[0]);
                self.filled = 0;
            }
            let step = data.len().min(CHUNK - self.filled);
            self.rest[self.filled..self.filled + step].copy_from_slice(&data[..step]);
            self.filled += step;
            self.total = self.total.wrapping_add(step as u64);
            data = &data[step..];
        }
    }

    fn finish(mut self) -> Digest {
        let mut tail = [0; 128];
        let chunks = H::tail(&self.rest[..self.filled], self.total, &mut tail);
        for index in 0..chunks {
            self.state
                .compress(&[chunk_at(&tail, index)], &[self.total], &[u64::MAX]);
        }
        to_digest(self.state.words()[0])
    }
}

/// The running digest of one message, for blocks and hash lists of any length.
pub struct Running(Function);

enum Function {
    Md4(Box<Pieces<Md4<Plain32<1>>, 64>>),
    Blake2b(Box<Pieces<Blake2b<u64>, 128>>),
}

impl Running {
    pub fn new(strong: Strong) -> Self {
        Self(match strong {
            Strong::Md4 => Function::Md4(Box::new(Pieces::new())),
            Strong::Blake2b => Function::Blake2b(Box::new(Pieces::new())),
        })
    }

    pub fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            Function::Md4(pieces) => pieces.update(data),
            Function::Blake2b(pieces) => pieces.update(data),
        }
    }

    pub fn finish(self) -> Digest {
        match self.0 {
            Function::Md4(pieces) => pieces.finish(),
            Function::Blake2b(pieces) => pieces.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digest: &[u8]) -> String {
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn known_answers_of_both_functions() {
        let md4 = digest_one(Level::Portable, Strong::Md4, b"abc");
        assert_eq!(hex(&md4[..16]), "a448017aaf21d8525fc10ae87aa6729d");
        let blake = digest_one(Level::Portable, Strong::Blake2b, b"abc");
        assert_eq!(
            hex(&blake),
            "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"
        );
    }

    #[test]
    fn every_level_and_grouping_gives_what_pieces_give() {
        let data: Vec<u8> = (0..5000u32).map(|i| ((i * i) >> 5) as u8).collect();
        for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
            for strong in [Strong::Md4, Strong::Blake2b] {
                for count in 0..40 {
                    let messages: Vec<&[u8]> =
                        (0..count).map(|i| &data[i..i + (i * 67) % 700]).collect();
                    let mut out = vec![[0; 32]; count];
                    digest_many(level, strong, &messages, &mut out);
                    for (message, digest) in messages.iter().zip(out) {
                        let mut running = Running::new(strong);
                        message.chunks(51).for_each(|piece| running.update(piece));
                        assert_eq!(running.finish(), digest);
                    }
                }
            }
        }
    }
}
