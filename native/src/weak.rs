//! The two weak sums: of whole blocks, at every byte, and growing at the front.
//! Formulas: docs/format.md, "Checksums". All arithmetic is modulo 2^32, and 2^16
//! inside the rollsum.

use crate::level::Level;

const M: u32 = 0x0810_4225;
const CHAR_OFFSET: u32 = 31;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weak {
    Rollsum,
    RabinKarp,
}

/// M to the power of `exponent`.
const fn power(mut exponent: u64) -> u32 {
    let (mut result, mut factor) = (1u32, M);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result.wrapping_mul(factor);
        }
        factor = factor.wrapping_mul(factor);
        exponent >>= 1;
    }
    result
}

impl Weak {
    /// The sum of no bytes.
    pub fn empty(self) -> u32 {
        match self {
            Weak::Rollsum => 0,
            Weak::RabinKarp => 1,
        }
    }

    pub fn of(self, level: Level, data: &[u8]) -> u32 {
        self.extend(level, self.empty(), data)
    }

    /// The sum of what `sum` covers followed by `data`.
    pub fn extend(self, level: Level, sum: u32, data: &[u8]) -> u32 {
        #[cfg(target_arch = "x86_64")]
        if level > Level::Portable {
            // Safety: levels above Portable are only selected when they are available.
            return unsafe { extend_avx2(self, sum, data) };
        }
        let _ = level;
        extend(self, sum, data)
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn extend_avx2(weak: Weak, sum: u32, data: &[u8]) -> u32 {
    extend(weak, sum, data)
}

#[inline(always)]
fn extend(weak: Weak, sum: u32, data: &[u8]) -> u32 {
    match weak {
        Weak::Rollsum => extend_rollsum(sum, data),
        Weak::RabinKarp => extend_rabin_karp(sum, data),
    }
}

/// 32 columns of bytes, each with its own sums, are what compilers vectorise.
const COLUMNS: usize = 32;

#[inline(always)]
fn extend_rollsum(sum: u32, data: &[u8]) -> u32 {
    // sums[j]: bytes of column j; ramps[j]: the same weighted by rows to the end.
    let (mut sums, mut ramps) = ([0u16; COLUMNS], [0u16; COLUMNS]);
    let rows = data.chunks_exact(COLUMNS);
    let rest = rows.remainder();
    for row in rows {
        for j in 0..COLUMNS {
            sums[j] = sums[j].wrapping_add(u16::from(row[j]));
            ramps[j] = ramps[j].wrapping_add(sums[j]);
        }
    }
    let (mut bytes, mut weighted) = (0u32, 0u32);
    for j in 0..COLUMNS {
        bytes = bytes.wrapping_add(u32::from(sums[j]));
        weighted = weighted
            .wrapping_add(u32::from(ramps[j]).wrapping_mul(COLUMNS as u32))
            .wrapping_sub(u32::from(sums[j]).wrapping_mul(j as u32));
    }
    for &byte in rest {
        bytes = bytes.wrapping_add(u32::from(byte));
        weighted = weighted.wrapping_add(bytes);
    }
    let n = data.len() as u64;
    let length = n as u32;
    let triangle = if n % 2 == 0 {
        (n / 2).wrapping_mul(n + 1)
    } else {
        n.wrapping_mul(n / 2 + 1)
    };
    let s1 = (sum & 0xffff)
        .wrapping_add(bytes)
        .wrapping_add(CHAR_OFFSET.wrapping_mul(length));
    let s2 = (sum >> 16)
        .wrapping_add(length.wrapping_mul(sum & 0xffff))
        .wrapping_add(weighted)
        .wrapping_add(CHAR_OFFSET.wrapping_mul(triangle as u32));
    (s2 << 16) | (s1 & 0xffff)
}

#[inline(always)]
fn extend_rabin_karp(sum: u32, data: &[u8]) -> u32 {
    const ROW: u32 = power(COLUMNS as u64);
    let mut columns = [0u32; COLUMNS];
    columns[COLUMNS - 1] = sum; // the last column's weight is one
    let rows = data.chunks_exact(COLUMNS);
    let rest = rows.remainder();
    for row in rows {
        for j in 0..COLUMNS {
            columns[j] = columns[j].wrapping_mul(ROW).wrapping_add(u32::from(row[j]));
        }
    }
    let mut hash = 0u32;
    for column in columns {
        hash = hash.wrapping_mul(M).wrapping_add(column);
    }
    for &byte in rest {
        hash = hash.wrapping_mul(M).wrapping_add(u32::from(byte));
    }
    hash
}

/// Positions whose sums are made in one go.
pub const STRIP: usize = 1024;

const EIGHT: u32 = power(8);

/// The sums of a window of fixed length at `STRIP` successive positions and the one
/// after: each next sum depends on the one before, so they are made by recurrences
/// over eight positions, which compilers vectorise.
pub struct Strip {
    weak: Weak,
    window: usize,
    /// M to the power of the window's length.
    weight: u32,
    pub sums: [u32; STRIP + 1],
    steps: [u32; STRIP + 8],
}

impl Strip {
    /// `first`: the sum at the first position.
    pub fn new(weak: Weak, window: usize, first: u32) -> Self {
        let weight = power(window as u64);
        let mut sums = [0; STRIP + 1];
        sums[0] = first;
        Self {
            weak,
            window,
            weight,
            sums,
            steps: [0; STRIP + 8],
        }
    }

    /// Makes `sums[1..=out.len()]` from `sums[0]`: `out` are the bytes that leave the
    /// window step by step, `into` those that enter; equally many, at most `STRIP`.
    pub fn fill(&mut self, level: Level, out: &[u8], into: &[u8]) {
        #[cfg(target_arch = "x86_64")]
        if level > Level::Portable {
            // Safety: levels above Portable are only selected when they are available.
            return unsafe { self.fill_avx2(out, into) };
        }
        let _ = level;
        self.fill_inline(out, into);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    unsafe fn fill_avx2(&mut self, out: &[u8], into: &[u8]) {
        self.fill_inline(out, into);
    }

    #[inline(always)]
    fn fill_inline(&mut self, out: &[u8], into: &[u8]) {
        match self.weak {
            Weak::Rollsum => self.fill_rollsum(out, into),
            Weak::RabinKarp => self.fill_rabin_karp(out, into),
        }
    }

    #[inline(always)]
    fn fill_rollsum(&mut self, out: &[u8], into: &[u8]) {
        let length = self.window as u32;
        let (mut s1, mut s2) = (self.sums[0] & 0xffff, self.sums[0] >> 16);
        for ((sum, &out), &into) in self.sums[1..].iter_mut().zip(out).zip(into) {
            s1 = s1
                .wrapping_add(u32::from(into))
                .wrapping_sub(u32::from(out));
            let leaving = length.wrapping_mul(u32::from(out) + CHAR_OFFSET);
            s2 = s2.wrapping_add(s1.wrapping_sub(leaving));
            *sum = (s2 << 16) | (s1 & 0xffff);
        }
    }

    /// With h(p+1) = h(p)·M + x(p): h(p+8) = h(p)·M^8 + y(p), where y(p) is the sum of
    /// x(p+i)·M^(7-i), made in three doublings.
    #[inline(always)]
    fn fill_rabin_karp(&mut self, out: &[u8], into: &[u8]) {
        let (x, weight) = (&mut self.steps, self.weight);
        for ((step, &out), &into) in x.iter_mut().zip(out).zip(into) {
            let leaving = weight.wrapping_mul(u32::from(out).wrapping_add(M - 1));
            *step = u32::from(into).wrapping_sub(leaving);
        }
        let mut hash = [0u32; 8];
        hash[0] = self.sums[0];
        for i in 1..8 {
            hash[i] = hash[i - 1].wrapping_mul(M).wrapping_add(x[i - 1]);
        }
        double::<1>(x);
        double::<2>(x);
        double::<4>(x);
        for (sums, y) in self.sums.chunks_exact_mut(8).zip(x.chunks_exact(8)) {
            sums.copy_from_slice(&hash);
            for i in 0..8 {
                hash[i] = hash[i].wrapping_mul(EIGHT).wrapping_add(y[i]);
            }
        }
        self.sums[STRIP] = hash[0];
    }
}

/// Joins each value with the one `BY` places on, as the higher and lower half.
#[inline(always)]
fn double<const BY: usize>(x: &mut [u32; STRIP + 8]) {
    let factor = power(BY as u64);
    for i in 0..STRIP + 8 - BY {
        x[i] = x[i].wrapping_mul(factor).wrapping_add(x[i + BY]);
    }
}

/// The sum of a suffix that grows by one byte at its front.
pub struct Suffix {
    weak: Weak,
    length: u32,
    /// RabinKarp without the leading one; the rollsum's s1.
    first: u32,
    /// M to the power of the length; the rollsum's s2.
    second: u32,
}

impl Suffix {
    pub fn new(weak: Weak) -> Self {
        let second = match weak {
            Weak::Rollsum => 0,
            Weak::RabinKarp => 1,
        };
        Self {
            weak,
            length: 0,
            first: 0,
            second,
        }
    }

    pub fn prepend(&mut self, byte: u8) -> u32 {
        self.length = self.length.wrapping_add(1);
        let byte = u32::from(byte);
        match self.weak {
            Weak::Rollsum => {
                let value = byte + CHAR_OFFSET;
                self.first = self.first.wrapping_add(value);
                self.second = self.second.wrapping_add(self.length.wrapping_mul(value));
                (self.second << 16) | (self.first & 0xffff)
            }
            Weak::RabinKarp => {
                self.first = self.first.wrapping_add(byte.wrapping_mul(self.second));
                self.second = self.second.wrapping_mul(M);
                self.first.wrapping_add(self.second)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level;

    #[test]
    fn sums_of_the_documented_example() {
        assert_eq!(Weak::Rollsum.of(Level::Portable, b"hello\n"), 0x0ad0_02d8);
        assert_eq!(Weak::RabinKarp.of(Level::Portable, b"hello\n"), 0x60ef_5343);
    }

    #[test]
    fn rolling_and_growing_agree_with_whole_sums() {
        let data: Vec<u8> = (0..700u32).map(|i| ((i * 31) >> 2) as u8).collect();
        let length = 100;
        for weak in [Weak::Rollsum, Weak::RabinKarp] {
            let mut strip = Strip::new(weak, length, weak.of(Level::Portable, &data[..length]));
            let count = data.len() - length;
            strip.fill(level::current(), &data[..count], &data[length..]);
            for start in 0..=count {
                let window = &data[start..start + length];
                assert_eq!(strip.sums[start], weak.of(Level::Portable, window));
            }
        }
        for weak in [Weak::Rollsum, Weak::RabinKarp] {
            let mut suffix = Suffix::new(weak);
            for start in (0..data.len()).rev() {
                let whole = weak.of(Level::Portable, &data[start..]);
                assert_eq!(suffix.prepend(data[start]), whole);
                let (head, tail) = data[start..].split_at((data.len() - start) / 3);
                let first = weak.of(Level::Portable, head);
                assert_eq!(weak.extend(Level::Portable, first, tail), whole);
            }
        }
    }
}
