//! Vectors of 32-bit and 64-bit words, one word a message ("lane"). The hash
//! functions are written once over these traits; each instruction set supplies
//! only the few operations below.
//!
//! Every method is `inline(always)`: the vector types may only be used inside a
//! function compiled for their instruction set, and the sole callers are the
//! `#[target_feature]` functions in `digest.rs`.

/// Operations of MD4. `N` lanes of 32 bits.
pub trait Lanes32<const N: usize>: Copy {
    fn splat(word: u32) -> Self;
    fn add(self, other: Self) -> Self;
    /// Bits of `a` where `mask` is one, of `b` where it is zero.
    fn select(mask: Self, a: Self, b: Self) -> Self;
    fn majority(a: Self, b: Self, c: Self) -> Self;
    fn xor3(a: Self, b: Self, c: Self) -> Self;
    /// `RIGHT` must be 32 - `LEFT`; stable Rust cannot compute it in the type.
    fn rotate_left<const LEFT: i32, const RIGHT: i32>(self) -> Self;
    fn to_array(self) -> [u32; N];
    /// Word w of every lane, for w in 0..16 (little-endian).
    fn load(chunks: &[&[u8; 64]; N]) -> [Self; 16];
}

/// Operations of BLAKE2b. `N` lanes of 64 bits.
pub trait Lanes64<const N: usize>: Copy {
    fn splat(word: u64) -> Self;
    fn from_array(words: [u64; N]) -> Self;
    fn to_array(self) -> [u64; N];
    fn add(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    fn rotate_right_32(self) -> Self;
    fn rotate_right_24(self) -> Self;
    /// What `rotate_right_16` wants to have at hand: nothing, or a byte order.
    fn order_16() -> Self;
    fn rotate_right_16(self, order: Self) -> Self;
    fn rotate_right_63(self) -> Self;
    fn load(chunks: &[&[u8; 128]; N]) -> [Self; 16];
}

/// Plain words; the compiler turns groups of four into SSE2 or NEON by itself.
#[derive(Clone, Copy)]
pub struct Plain32<const N: usize>([u32; N]);

impl<const N: usize> Plain32<N> {
    #[inline(always)]
    fn zip(self, other: Self, operation: impl Fn(u32, u32) -> u32) -> Self {
        let mut result = self;
        for lane in 0..N {
            result.0[lane] = operation(self.0[lane], other.0[lane]);
        }
        result
    }
}

impl<const N: usize> Lanes32<N> for Plain32<N> {
    #[inline(always)]
    fn splat(word: u32) -> Self {
        Self([word; N])
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, u32::wrapping_add)
    }
    #[inline(always)]
    fn select(mask: Self, a: Self, b: Self) -> Self {
        let difference = a.zip(b, |x, y| x ^ y);
        b.zip(mask.zip(difference, |x, y| x & y), |x, y| x ^ y)
    }
    #[inline(always)]
    fn majority(a: Self, b: Self, c: Self) -> Self {
        let either = a.zip(b, |x, y| x | y);
        let both = a.zip(b, |x, y| x & y);
        both.zip(either.zip(c, |x, y| x & y), |x, y| x | y)
    }
    #[inline(always)]
    fn xor3(a: Self, b: Self, c: Self) -> Self {
        a.zip(b, |x, y| x ^ y).zip(c, |x, y| x ^ y)
    }
    #[inline(always)]
    fn rotate_left<const LEFT: i32, const RIGHT: i32>(self) -> Self {
        self.zip(self, |x, _| x.rotate_left(LEFT as u32))
    }
    #[inline(always)]
    fn to_array(self) -> [u32; N] {
        self.0
    }
    #[inline(always)]
    fn load(chunks: &[&[u8; 64]; N]) -> [Self; 16] {
        let mut words = [Self([0; N]); 16];
        for (lane, chunk) in chunks.iter().enumerate() {
            for (word, bytes) in words.iter_mut().zip(chunk.chunks_exact(4)) {
                word.0[lane] = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            }
        }
        words
    }
}

impl Lanes64<1> for u64 {
    #[inline(always)]
    fn splat(word: u64) -> Self {
        word
    }
    #[inline(always)]
    fn from_array(words: [u64; 1]) -> Self {
        words[0]
    }
    #[inline(always)]
    fn to_array(self) -> [u64; 1] {
        [self]
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        self ^ other
    }
    #[inline(always)]
    fn rotate_right_32(self) -> Self {
        self.rotate_right(32)
    }
    #[inline(always)]
    fn rotate_right_24(self) -> Self {
        self.rotate_right(24)
    }
    #[inline(always)]
    fn order_16() -> Self {
        0
    }
    #[inline(always)]
    fn rotate_right_16(self, _order: Self) -> Self {
        self.rotate_right(16)
    }
    #[inline(always)]
    fn rotate_right_63(self) -> Self {
        self.rotate_right(63)
    }
    #[inline(always)]
    fn load(chunks: &[&[u8; 128]; 1]) -> [Self; 16] {
        let mut words = [0; 16];
        for (word, bytes) in words.iter_mut().zip(chunks[0].chunks_exact(8)) {
            let mut array = [0; 8];
            array.copy_from_slice(bytes);
            *word = u64::from_le_bytes(array);
        }
        words
    }
}
