//! An old signature, loaded, and the search structure over its weak sums.

use crate::level::Level;
use crate::signature::{Format, HEADER};

/// Blocks with the same weak sum that are compared at most; a hostile signature
/// could otherwise make every byte of the new file meet all its blocks.
const MOST_EQUAL: usize = 8;
/// Entries walked in one bucket at most, for the same reason.
const MOST_WALKED: usize = 64;
const NONE: u32 = u32::MAX;

pub struct OldSignature {
    pub format: Format,
    pub blocks: usize,
    /// The last block's length, where the basis' size is known.
    pub last_len: Option<usize>,
    data: Vec<u8>,
}

fn word(data: &[u8], offset: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&data[offset..offset + 4]);
    u32::from_be_bytes(bytes)
}

impl OldSignature {
    pub fn parse(data: &[u8], basis_size: Option<u64>) -> Result<Self, String> {
        if data.len() < HEADER {
            return Err(format!("Signature of {} bytes is too short", data.len()));
        }
        let (block_len, strong_len) = (word(data, 4), word(data, 8));
        let format = Format::new(word(data, 0), u64::from(block_len), u64::from(strong_len))?;
        if (data.len() - HEADER) % format.entry_len() != 0 {
            return Err("Signature ends within a block's sums".to_string());
        }
        let blocks = (data.len() - HEADER) / format.entry_len();
        if blocks >= NONE as usize {
            return Err("Signature has too many blocks".to_string());
        }
        let last_len = match basis_size {
            Some(size) if blocks > 0 => Some(last_block_len(size, &format, blocks)?),
            _ => None,
        };
        Ok(Self {
            format,
            blocks,
            last_len,
            data: data.to_vec(),
        })
    }

    pub fn weak(&self, block: usize) -> u32 {
        word(&self.data, HEADER + block * self.format.entry_len())
    }

    pub fn strong(&self, block: usize) -> &[u8] {
        let start = HEADER + block * self.format.entry_len() + 4;
        &self.data[start..start + self.format.strong_len]
    }

    /// Blocks that may be found at any place: all but a last one known to be short.
    pub fn full_blocks(&self) -> usize {
        match self.last_len {
            Some(length) if length < self.format.block_len => self.blocks - 1,
            _ => self.blocks,
        }
    }
}

fn last_block_len(size: u64, format: &Format, blocks: usize) -> Result<usize, String> {
    if size.div_ceil(format.block_len as u64) != blocks as u64 {
        return Err(format!(
            "Signature of {blocks} blocks does not fit a file of {size} bytes"
        ));
    }
    Ok((size - (blocks as u64 - 1) * format.block_len as u64) as usize)
}

/// A bitmap over weak sums in which the blocks' sums are set.
struct Filter {
    words: Vec<u64>,
    multiplier: u32,
    shift: u32,
}

impl Filter {
    fn new(bits: u32, multiplier: u32) -> Self {
        let bits = bits.clamp(6, 32);
        Self {
            words: vec![0; 1 << (bits - 6)],
            multiplier,
            shift: 32 - bits,
        }
    }

    /// Multiplying makes the upper bits depend on all; the rollsum's own hardly vary.
    #[inline(always)]
    fn bit(&self, weak: u32) -> u32 {
        weak.wrapping_mul(self.multiplier) >> self.shift
    }

    fn set(&mut self, weak: u32) {
        let bit = self.bit(weak);
        self.words[(bit >> 6) as usize] |= 1 << (bit & 63);
    }

    /// Bit i tells whether some block may have `sums[i]`, for at most 64 sums.
    #[inline]
    fn mask(&self, level: Level, sums: &[u32]) -> u64 {
        #[cfg(target_arch = "x86_64")]
        if let (true, Ok(sums)) = (level > Level::Portable, sums.try_into()) {
            // Safety: levels above Portable are only selected when they are available.
            return unsafe { self.mask_avx2(sums) };
        }
        let _ = level;
        let tests = sums.iter().enumerate();
        tests.fold(0, |mask, (place, &sum)| {
            mask | (self.test(sum) as u64) << place
        })
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    unsafe fn mask_avx2(&self, sums: &[u32; 64]) -> u64 {
        use std::arch::x86_64::*;
        let words = self.words.as_ptr().cast::<i32>();
        let mut mask = 0;
        for (eighth, sums) in sums.chunks_exact(8).enumerate() {
            // Safety: eight sums are read from a chunk of eight. `bits >> 5` numbers the
            // 32-bit halves of `words` (little-endian, so in order): `bits` has as many
            // bits as number the whole bitmap, since `shift` took the others away.
            let found = unsafe {
                let sums = _mm256_loadu_si256(sums.as_ptr().cast());
                let product = _mm256_mullo_epi32(sums, _mm256_set1_epi32(self.multiplier as i32));
                let bits = _mm256_srl_epi32(product, _mm_cvtsi32_si128(self.shift as i32));
                let halves = _mm256_i32gather_epi32::<4>(words, _mm256_srli_epi32::<5>(bits));
                let to_sign = _mm256_andnot_si256(bits, _mm256_set1_epi32(31));
                _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_sllv_epi32(halves, to_sign)))
            };
            mask |= (found as u64) << (eighth * 8);
        }
        mask
    }

    /// 1 if some block may have this sum, else 0.
    #[inline(always)]
    fn test(&self, weak: u32) -> usize {
        let bit = self.bit(weak);
        (self.words[(bit >> 6) as usize] >> (bit & 63) & 1) as usize
    }
}

/// Weak sum to blocks: two bitmaps that say no quickly, then chained buckets.
pub struct Index {
    /// Small enough for the first-level cache, lets one sum in eight through.
    coarse: Filter,
    /// Lets through one in sixty-four of the rest.
    fine: Filter,
    heads: Vec<u32>,
    head_shift: u32,
    next: Vec<u32>,
}

impl Index {
    pub fn new(old: &OldSignature) -> Self {
        let blocks = old.full_blocks();
        let head_bits = (blocks.max(2) as u64).next_power_of_two().trailing_zeros();
        let mut index = Self {
            coarse: Filter::new(head_bits + 3, 0x9e37_79b1),
            fine: Filter::new(head_bits + 6, 0x85eb_ca6b),
            heads: vec![NONE; 1 << head_bits.min(32)],
            head_shift: 32 - head_bits.min(32),
            next: vec![NONE; blocks],
        };
        // Backwards, so that a chain begins with its lowest block.
        for block in (0..blocks).rev() {
            index.insert(old, block);
        }
        index
    }

    fn insert(&mut self, old: &OldSignature, block: usize) {
        let weak = old.weak(block);
        let (mut walked, mut equal) = (0, 0);
        let bucket = self.bucket(weak);
        let mut other = self.heads[bucket];
        while other != NONE {
            walked += 1;
            if old.weak(other as usize) == weak {
                equal += 1;
                if old.strong(other as usize) == old.strong(block) {
                    // The same content: the lowest block stands for all.
                    return;
                }
            }
            if walked >= MOST_WALKED || equal >= MOST_EQUAL {
                return;
            }
            other = self.next[other as usize];
        }
        self.next[block] = self.heads[bucket];
        self.heads[bucket] = block as u32;
        self.coarse.set(weak);
        self.fine.set(weak);
    }

    fn bucket(&self, weak: u32) -> usize {
        (u64::from(weak.wrapping_mul(0x9e37_79b1)) >> self.head_shift) as usize
    }

    /// Writes to `hits` which of `sums` some block may have; returns how many. `hits` must
    /// be as long as `sums`.
    pub fn sieve(&self, level: Level, sums: &[u32], hits: &mut [u16]) -> usize {
        let mut count = 0;
        for (part, sums) in sums.chunks(64).enumerate() {
            // Which bits are set cannot be predicted: few branches depend on it.
            let mut mask = self.coarse.mask(level, sums);
            while mask != 0 {
                let place = mask.trailing_zeros() as usize;
                mask &= mask - 1;
                hits[count] = (part * 64 + place) as u16;
                count += self.fine.test(sums[place]);
            }
        }
        count
    }

    /// The blocks with this weak sum and distinct strong sums.
    pub fn candidates<'a>(
        &'a self,
        old: &'a OldSignature,
        weak: u32,
    ) -> impl Iterator<Item = usize> + 'a {
        let head = self.heads[self.bucket(weak)];
        let chain = std::iter::successors((head != NONE).then_some(head), |&block| {
            let next = self.next[block as usize];
            (next != NONE).then_some(next)
        });
        chain
            .map(|block| block as usize)
            .filter(move |&block| old.weak(block) == weak)
    }
}
