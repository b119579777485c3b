//! The vectors of AVX2 and AVX-512.
//!
//! Safety of every `unsafe` block here: the intrinsics need the instruction set,
//! which the callers in `digest.rs` guarantee (`Level::is_available` was true);
//! loads and stores go through references to arrays at least as long as what is
//! read or written, and are the unaligned forms.

use std::arch::x86_64::*;

use crate::lanes::{Lanes32, Lanes64};

#[derive(Clone, Copy)]
pub struct Avx2x8(__m256i);

/// Two vectors in step: one's latency hides the other's.
#[derive(Clone, Copy)]
pub struct Avx2x16(Avx2x8, Avx2x8);

#[derive(Clone, Copy)]
pub struct Avx2x4(__m256i);

#[inline(always)]
fn load_256(bytes: &[u8; 32]) -> __m256i {
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// The 32 bytes at `offset`; a wrong offset panics, it never reads past the end.
#[inline(always)]
fn part<const SIZE: usize>(chunk: &[u8; SIZE], offset: usize) -> &[u8; 32] {
    match chunk[offset..offset + 32].try_into() {
        Ok(part) => part,
        Err(_) => unreachable!(),
    }
}

/// Rows of eight 32-bit words to columns.
#[inline(always)]
fn transpose_8x8(row: [__m256i; 8]) -> [__m256i; 8] {
    unsafe {
        let a0 = _mm256_unpacklo_epi32(row[0], row[1]);
        let a1 = _mm256_unpackhi_epi32(row[0], row[1]);
        let a2 = _mm256_unpacklo_epi32(row[2], row[3]);
        let a3 = _mm256_unpackhi_epi32(row[2], row[3]);
        let a4 = _mm256_unpacklo_epi32(row[4], row[5]);
        let a5 = _mm256_unpackhi_epi32(row[4], row[5]);
        let a6 = _mm256_unpacklo_epi32(row[6], row[7]);
        let a7 = _mm256_unpackhi_epi32(row[6], row[7]);
        let b0 = _mm256_unpacklo_epi64(a0, a2);
        let b1 = _mm256_unpackhi_epi64(a0, a2);
        let b2 = _mm256_unpacklo_epi64(a1, a3);
        let b3 = _mm256_unpackhi_epi64(a1, a3);
        let b4 = _mm256_unpacklo_epi64(a4, a6);
        let b5 = _mm256_unpackhi_epi64(a4, a6);
        let b6 = _mm256_unpacklo_epi64(a5, a7);
        let b7 = _mm256_unpackhi_epi64(a5, a7);
        [
            _mm256_permute2x128_si256::<0x20>(b0, b4),
            _mm256_permute2x128_si256::<0x20>(b1, b5),
            _mm256_permute2x128_si256::<0x20>(b2, b6),
            _mm256_permute2x128_si256::<0x20>(b3, b7),
            _mm256_permute2x128_si256::<0x31>(b0, b4),
            _mm256_permute2x128_si256::<0x31>(b1, b5),
            _mm256_permute2x128_si256::<0x31>(b2, b6),
            _mm256_permute2x128_si256::<0x31>(b3, b7),
        ]
    }
}

/// Sixteen words of eight chunks: two transpositions.
#[inline(always)]
fn load_x8(chunks: [&[u8; 64]; 8]) -> [__m256i; 16] {
    let mut words = [unsafe { _mm256_setzero_si256() }; 16];
    for half in 0..2 {
        let mut rows = [unsafe { _mm256_setzero_si256() }; 8];
        for lane in 0..8 {
            rows[lane] = load_256(part(chunks[lane], half * 32));
        }
        let columns = transpose_8x8(rows);
        words[half * 8..half * 8 + 8].copy_from_slice(&columns);
    }
    words
}

impl Lanes32<8> for Avx2x8 {
    #[inline(always)]
    fn splat(word: u32) -> Self {
        Self(unsafe { _mm256_set1_epi32(word as i32) })
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(unsafe { _mm256_add_epi32(self.0, other.0) })
    }
    #[inline(always)]
    fn select(mask: Self, a: Self, b: Self) -> Self {
        Self(unsafe {
            let difference = _mm256_xor_si256(a.0, b.0);
            _mm256_xor_si256(b.0, _mm256_and_si256(mask.0, difference))
        })
    }
    #[inline(always)]
    fn majority(a: Self, b: Self, c: Self) -> Self {
        Self(unsafe {
            let either = _mm256_or_si256(b.0, c.0);
            let both = _mm256_and_si256(b.0, c.0);
            _mm256_or_si256(both, _mm256_and_si256(a.0, either))
        })
    }
    #[inline(always)]
    fn xor3(a: Self, b: Self, c: Self) -> Self {
        Self(unsafe { _mm256_xor_si256(a.0, _mm256_xor_si256(b.0, c.0)) })
    }
    #[inline(always)]
    fn rotate_left<const LEFT: i32, const RIGHT: i32>(self) -> Self {
        Self(unsafe {
            let left = _mm256_slli_epi32::<LEFT>(self.0);
            _mm256_or_si256(left, _mm256_srli_epi32::<RIGHT>(self.0))
        })
    }
    #[inline(always)]
    fn to_array(self) -> [u32; 8] {
        let mut words = [0; 8];
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), self.0) };
        words
    }
    #[inline(always)]
    fn load(chunks: &[&[u8; 64]; 8]) -> [Self; 16] {
        load_x8(*chunks).map(Self)
    }
}

#[inline(always)]
fn lower<T: Copy>(lanes: &[T; 16]) -> [T; 8] {
    std::array::from_fn(|lane| lanes[lane])
}

#[inline(always)]
fn upper<T: Copy>(lanes: &[T; 16]) -> [T; 8] {
    std::array::from_fn(|lane| lanes[lane + 8])
}

impl Lanes32<16> for Avx2x16 {
    #[inline(always)]
    fn splat(word: u32) -> Self {
        Self(Avx2x8::splat(word), Avx2x8::splat(word))
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(self.0.add(other.0), self.1.add(other.1))
    }
    #[inline(always)]
    fn select(mask: Self, a: Self, b: Self) -> Self {
        Self(
            Avx2x8::select(mask.0, a.0, b.0),
            Avx2x8::select(mask.1, a.1, b.1),
        )
    }
    #[inline(always)]
    fn majority(a: Self, b: Self, c: Self) -> Self {
        Self(
            Avx2x8::majority(a.0, b.0, c.0),
            Avx2x8::majority(a.1, b.1, c.1),
        )
    }
    #[inline(always)]
    fn xor3(a: Self, b: Self, c: Self) -> Self {
        Self(Avx2x8::xor3(a.0, b.0, c.0), Avx2x8::xor3(a.1, b.1, c.1))
    }
    #[inline(always)]
    fn rotate_left<const LEFT: i32, const RIGHT: i32>(self) -> Self {
        Self(
            self.0.rotate_left::<LEFT, RIGHT>(),
            self.1.rotate_left::<LEFT, RIGHT>(),
        )
    }
    #[inline(always)]
    fn to_array(self) -> [u32; 16] {
        let (low, high) = (self.0.to_array(), self.1.to_array());
        std::array::from_fn(|lane| if lane < 8 { low[lane] } else { high[lane - 8] })
    }
    #[inline(always)]
    fn load(chunks: &[&[u8; 64]; 16]) -> [Self; 16] {
        let (low, high) = (load_x8(lower(chunks)), load_x8(upper(chunks)));
        std::array::from_fn(|word| Self(Avx2x8(low[word]), Avx2x8(high[word])))
    }
}

/// Sixteen 64-bit words of four chunks: four transpositions of four by four.
#[inline(always)]
fn load_x4(chunks: [&[u8; 128]; 4]) -> [__m256i; 16] {
    let mut words = [unsafe { _mm256_setzero_si256() }; 16];
    for quarter in 0..4 {
        let offset = quarter * 32;
        let (r0, r1) = (
            load_256(part(chunks[0], offset)),
            load_256(part(chunks[1], offset)),
        );
        let (r2, r3) = (
            load_256(part(chunks[2], offset)),
            load_256(part(chunks[3], offset)),
        );
        unsafe {
            let even_01 = _mm256_unpacklo_epi64(r0, r1);
            let odd_01 = _mm256_unpackhi_epi64(r0, r1);
            let even_23 = _mm256_unpacklo_epi64(r2, r3);
            let odd_23 = _mm256_unpackhi_epi64(r2, r3);
            words[quarter * 4] = _mm256_permute2x128_si256::<0x20>(even_01, even_23);
            words[quarter * 4 + 1] = _mm256_permute2x128_si256::<0x20>(odd_01, odd_23);
            words[quarter * 4 + 2] = _mm256_permute2x128_si256::<0x31>(even_01, even_23);
            words[quarter * 4 + 3] = _mm256_permute2x128_si256::<0x31>(odd_01, odd_23);
        }
    }
    words
}

impl Lanes64<4> for Avx2x4 {
    #[inline(always)]
    fn splat(word: u64) -> Self {
        Self(unsafe { _mm256_set1_epi64x(word as i64) })
    }
    #[inline(always)]
    fn from_array(words: [u64; 4]) -> Self {
        Self(unsafe { _mm256_loadu_si256(words.as_ptr().cast()) })
    }
    #[inline(always)]
    fn to_array(self) -> [u64; 4] {
        let mut words = [0; 4];
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), self.0) };
        words
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(unsafe { _mm256_add_epi64(self.0, other.0) })
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        Self(unsafe { _mm256_xor_si256(self.0, other.0) })
    }
    #[inline(always)]
    fn rotate_right_32(self) -> Self {
        Self(unsafe { _mm256_shuffle_epi32::<0b1011_0001>(self.0) })
    }
    #[inline(always)]
    fn rotate_right_24(self) -> Self {
        Self(unsafe {
            let bytes = _mm256_setr_epi8(
                3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10, 3, 4, 5, 6, 7, 0, 1, 2, 11,
                12, 13, 14, 15, 8, 9, 10,
            );
            _mm256_shuffle_epi8(self.0, bytes)
        })
    }
    #[inline(always)]
    fn order_16() -> Self {
        // The black box keeps the compiler from taking apart the byte shuffle with a
        // known order into two slower shuffles.
        std::hint::black_box(Self(unsafe {
            _mm256_setr_epi8(
                2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9, 2, 3, 4, 5, 6, 7, 0, 1, 10,
                11, 12, 13, 14, 15, 8, 9,
            )
        }))
    }
    #[inline(always)]
    fn rotate_right_16(self, order: Self) -> Self {
        Self(unsafe { _mm256_shuffle_epi8(self.0, order.0) })
    }
    #[inline(always)]
    fn rotate_right_63(self) -> Self {
        Self(unsafe {
            let right = _mm256_srli_epi64::<63>(self.0);
            _mm256_or_si256(right, _mm256_add_epi64(self.0, self.0))
        })
    }
    #[inline(always)]
    fn load(chunks: &[&[u8; 128]; 4]) -> [Self; 16] {
        load_x4(*chunks).map(Self)
    }
}

/// AVX-512: the same shapes, twice as wide. Loads are pairs of the AVX2 ones.
#[cfg(have_avx512)]
#[allow(clippy::incompatible_msrv)] // compiled only where the compiler has them
pub mod avx512 {
    use super::*;

    #[derive(Clone, Copy)]
    pub struct Avx512x16(__m512i);

    #[derive(Clone, Copy)]
    pub struct Avx512x8(__m512i);

    #[inline(always)]
    fn join(low: __m256i, high: __m256i) -> __m512i {
        unsafe { _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high) }
    }

    impl Lanes32<16> for Avx512x16 {
        #[inline(always)]
        fn splat(word: u32) -> Self {
            Self(unsafe { _mm512_set1_epi32(word as i32) })
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            Self(unsafe { _mm512_add_epi32(self.0, other.0) })
        }
        // The truth tables below count the first operand as the most significant bit.
        #[inline(always)]
        fn select(mask: Self, a: Self, b: Self) -> Self {
            Self(unsafe { _mm512_ternarylogic_epi32::<0xca>(mask.0, a.0, b.0) })
        }
        #[inline(always)]
        fn majority(a: Self, b: Self, c: Self) -> Self {
            Self(unsafe { _mm512_ternarylogic_epi32::<0xe8>(a.0, b.0, c.0) })
        }
        #[inline(always)]
        fn xor3(a: Self, b: Self, c: Self) -> Self {
            Self(unsafe { _mm512_ternarylogic_epi32::<0x96>(a.0, b.0, c.0) })
        }
        #[inline(always)]
        fn rotate_left<const LEFT: i32, const RIGHT: i32>(self) -> Self {
            Self(unsafe { _mm512_rol_epi32::<LEFT>(self.0) })
        }
        #[inline(always)]
        fn to_array(self) -> [u32; 16] {
            let mut words = [0u32; 16];
            unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), self.0) };
            words
        }
        #[inline(always)]
        fn load(chunks: &[&[u8; 64]; 16]) -> [Self; 16] {
            let (low, high) = (load_x8(lower(chunks)), load_x8(upper(chunks)));
            std::array::from_fn(|word| Self(join(low[word], high[word])))
        }
    }

    impl Lanes64<8> for Avx512x8 {
        #[inline(always)]
        fn splat(word: u64) -> Self {
            Self(unsafe { _mm512_set1_epi64(word as i64) })
        }
        #[inline(always)]
        fn from_array(words: [u64; 8]) -> Self {
            Self(unsafe { _mm512_loadu_si512(words.as_ptr().cast()) })
        }
        #[inline(always)]
        fn to_array(self) -> [u64; 8] {
            let mut words = [0u64; 8];
            unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), self.0) };
            words
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            Self(unsafe { _mm512_add_epi64(self.0, other.0) })
        }
        #[inline(always)]
        fn xor(self, other: Self) -> Self {
            Self(unsafe { _mm512_xor_si512(self.0, other.0) })
        }
        #[inline(always)]
        fn rotate_right_32(self) -> Self {
            Self(unsafe { _mm512_ror_epi64::<32>(self.0) })
        }
        #[inline(always)]
        fn rotate_right_24(self) -> Self {
            Self(unsafe { _mm512_ror_epi64::<24>(self.0) })
        }
        #[inline(always)]
        fn order_16() -> Self {
            Self::splat(0)
        }
        #[inline(always)]
        fn rotate_right_16(self, _order: Self) -> Self {
            Self(unsafe { _mm512_ror_epi64::<16>(self.0) })
        }
        #[inline(always)]
        fn rotate_right_63(self) -> Self {
            Self(unsafe { _mm512_ror_epi64::<63>(self.0) })
        }
        #[inline(always)]
        fn load(chunks: &[&[u8; 128]; 8]) -> [Self; 16] {
            let low = load_x4([chunks[0], chunks[1], chunks[2], chunks[3]]);
            let high = load_x4([chunks[4], chunks[5], chunks[6], chunks[7]]);
            std::array::from_fn(|word| Self(join(low[word], high[word])))
        }
    }
}
