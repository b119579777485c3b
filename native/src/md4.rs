//! MD4 (RFC 1320) over lanes of messages.

use crate::digest::{LaneHash, Tail};
use crate::lanes::Lanes32;

const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

#[derive(Clone, Copy)]
pub struct Md4<L>([L; 4]);

/// Four steps of a round: the words of the state change places by themselves.
macro_rules! four_steps {
    ($mix:path, $k:expr, $m:ident, $s:ident,
     $i0:expr, $i1:expr, $i2:expr, $i3:expr, $r0:expr, $r1:expr, $r2:expr, $r3:expr) => {
        four_steps!(@one $mix, $k, $m[$i0], $s, 0, 1, 2, 3, $r0);
        four_steps!(@one $mix, $k, $m[$i1], $s, 3, 0, 1, 2, $r1);
        four_steps!(@one $mix, $k, $m[$i2], $s, 2, 3, 0, 1, $r2);
        four_steps!(@one $mix, $k, $m[$i3], $s, 1, 2, 3, 0, $r3);
    };
    (@one $mix:path, $k:expr, $word:expr, $s:ident,
     $a:expr, $b:expr, $c:expr, $d:expr, $r:expr) => {
        let sum = $s[$a].add($word).add($k).add($mix($s[$b], $s[$c], $s[$d]));
        $s[$a] = sum.rotate_left::<$r, { 32 - $r }>();
    };
}

impl<L: Lanes32<N>, const N: usize> LaneHash<64, N> for Md4<L> {
    #[inline(always)]
    fn new() -> Self {
        Self(INITIAL.map(L::splat))
    }

    #[inline(always)]
    fn compress(&mut self, chunks: &[&[u8; 64]; N], _counts: &[u64; N], _last: &[u64; N]) {
        let m = L::load(chunks);
        let mut s = self.0;
        let zero = L::splat(0);
        four_steps!(L::select, zero, m, s, 0, 1, 2, 3, 3, 7, 11, 19);
        four_steps!(L::select, zero, m, s, 4, 5, 6, 7, 3, 7, 11, 19);
        four_steps!(L::select, zero, m, s, 8, 9, 10, 11, 3, 7, 11, 19);
        four_steps!(L::select, zero, m, s, 12, 13, 14, 15, 3, 7, 11, 19);
        let k = L::splat(0x5a82_7999);
        four_steps!(L::majority, k, m, s, 0, 4, 8, 12, 3, 5, 9, 13);
        four_steps!(L::majority, k, m, s, 1, 5, 9, 13, 3, 5, 9, 13);
        four_steps!(L::majority, k, m, s, 2, 6, 10, 14, 3, 5, 9, 13);
        four_steps!(L::majority, k, m, s, 3, 7, 11, 15, 3, 5, 9, 13);
        let k = L::splat(0x6ed9_eba1);
        four_steps!(L::xor3, k, m, s, 0, 8, 4, 12, 3, 9, 11, 15);
        four_steps!(L::xor3, k, m, s, 2, 10, 6, 14, 3, 9, 11, 15);
        four_steps!(L::xor3, k, m, s, 1, 9, 5, 13, 3, 9, 11, 15);
        four_steps!(L::xor3, k, m, s, 3, 11, 7, 15, 3, 9, 11, 15);
        for (total, word) in self.0.iter_mut().zip(s) {
            *total = total.add(word);
        }
    }

    /// The rest, a one bit, zeros and the length in bits: one or two chunks.
    #[inline(always)]
    fn tail(rest: &[u8], total: u64, tail: &mut Tail) -> usize {
        let chunks = if rest.len() < 56 { 1 } else { 2 };
        *tail = [0; 128];
        tail[..rest.len()].copy_from_slice(rest);
        tail[rest.len()] = 0x80;
        tail[chunks * 64 - 8..chunks * 64].copy_from_slice(&total.wrapping_mul(8).to_le_bytes());
        chunks
    }

    #[inline(always)]
    fn words(&self) -> [[u64; 4]; N] {
        let columns = self.0.map(L::to_array);
        std::array::from_fn(|lane| {
            let pair =
                |i: usize| u64::from(columns[i][lane]) | u64::from(columns[i + 1][lane]) << 32;
            [pair(0), pair(2), 0, 0]
        })
    }
}
