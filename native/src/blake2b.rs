//! BLAKE2b (RFC 7693), 32-byte digests without key, over lanes of messages.

use crate::digest::{LaneHash, Tail};
use crate::lanes::Lanes64;

const IV: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// Digest of 32 bytes, no key, fan-out and depth 1.
const PARAMETERS: u64 = 0x0101_0020;

#[derive(Clone, Copy)]
pub struct Blake2b<L>([L; 8]);

macro_rules! mix {
    ($v:ident, $order:ident, $a:expr, $b:expr, $c:expr, $d:expr, $x:expr, $y:expr) => {
        $v[$a] = $v[$a].add($v[$b]).add($x);
        $v[$d] = $v[$d].xor($v[$a]).rotate_right_32();
        $v[$c] = $v[$c].add($v[$d]);
        $v[$b] = $v[$b].xor($v[$c]).rotate_right_24();
        $v[$a] = $v[$a].add($v[$b]).add($y);
        $v[$d] = $v[$d].xor($v[$a]).rotate_right_16($order);
        $v[$c] = $v[$c].add($v[$d]);
        $v[$b] = $v[$b].xor($v[$c]).rotate_right_63();
    };
}

macro_rules! round {
    ($v:ident, $m:ident, $order:ident, $s0:expr, $s1:expr, $s2:expr, $s3:expr, $s4:expr, $s5:expr, $s6:expr,
     $s7:expr, $s8:expr, $s9:expr, $s10:expr, $s11:expr, $s12:expr, $s13:expr, $s14:expr,
     $s15:expr) => {
        mix!($v, $order, 0, 4, 8, 12, $m[$s0], $m[$s1]);
        mix!($v, $order, 1, 5, 9, 13, $m[$s2], $m[$s3]);
        mix!($v, $order, 2, 6, 10, 14, $m[$s4], $m[$s5]);
        mix!($v, $order, 3, 7, 11, 15, $m[$s6], $m[$s7]);
        mix!($v, $order, 0, 5, 10, 15, $m[$s8], $m[$s9]);
        mix!($v, $order, 1, 6, 11, 12, $m[$s10], $m[$s11]);
        mix!($v, $order, 2, 7, 8, 13, $m[$s12], $m[$s13]);
        mix!($v, $order, 3, 4, 9, 14, $m[$s14], $m[$s15]);
    };
}

impl<L: Lanes64<N>, const N: usize> LaneHash<128, N> for Blake2b<L> {
    #[inline(always)]
    fn new() -> Self {
        let mut state = IV.map(L::splat);
        state[0] = L::splat(IV[0] ^ PARAMETERS);
        Self(state)
    }

    #[inline(always)]
    fn compress(&mut self, chunks: &[&[u8; 128]; N], counts: &[u64; N], last: &[u64; N]) {
        let m = L::load(chunks);
        let order = L::order_16();
        let h = self.0;
        let iv = IV.map(L::splat);
        // Counts stay below 2^64, so the upper word of the counter is zero.
        let count = L::from_array(*counts);
        let last = L::from_array(*last);
        let mut v = [
            h[0],
            h[1],
            h[2],
            h[3],
            h[4],
            h[5],
            h[6],
            h[7],
            iv[0],
            iv[1],
            iv[2],
            iv[3],
            iv[4].xor(count),
            iv[5],
            iv[6].xor(last),
            iv[7],
        ];
        round!(v, m, order, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        round!(v, m, order, 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
        round!(v, m, order, 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4);
        round!(v, m, order, 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8);
        round!(v, m, order, 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13);
        round!(v, m, order, 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9);
        round!(v, m, order, 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11);
        round!(v, m, order, 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10);
        round!(v, m, order, 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5);
        round!(v, m, order, 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0);
        round!(v, m, order, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        round!(v, m, order, 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
        for i in 0..8 {
            self.0[i] = h[i].xor(v[i]).xor(v[i + 8]);
        }
    }

    /// The last chunk, filled up with zeros.
    #[inline(always)]
    fn tail(rest: &[u8], _total: u64, tail: &mut Tail) -> usize {
        *tail = [0; 128];
        tail[..rest.len()].copy_from_slice(rest);
        1
    }

    #[inline(always)]
    fn words(&self) -> [[u64; 4]; N] {
        let columns = [self.0[0], self.0[1], self.0[2], self.0[3]].map(L::to_array);
        std::array::from_fn(|lane| std::array::from_fn(|word| columns[word][lane]))
    }
}
