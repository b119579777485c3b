//! The kernel without Python, fed with whatever bytes: `make fuzz` builds it with the
//! checks of the address sanitizer, of overflows and of debug assertions. The first byte
//! of an input chooses what it is for. It is the root of the crate in `native/fuzz`, and
//! stands here so that the modules are where they belong.

#![no_main]
#![allow(dead_code)]

mod blake2b;
mod commands;
mod composition;
mod delta;
mod digest;
mod index;
mod lanes;
#[cfg(target_arch = "x86_64")]
mod lanes_x86;
mod level;
mod many;
mod md4;
mod members;
mod patch;
mod read_commands;
mod signature;
mod weak;

use composition::{Composition, Piece};
use delta::Encoder;
use index::OldSignature;
use level::Level;
use libfuzzer_sys::fuzz_target;
use patch::{InMemory, PatchError, Patcher};
use signature::{Builder, Format};

const MAGICS: [u32; 4] = [0x7273_0136, 0x7273_0137, 0x7273_0146, 0x7273_0147];
const MOST: u64 = 1 << 16;
const SEPARATOR: &[u8] = b"\x55|";

fuzz_target!(|data: &[u8]| {
    let Some((&choice, rest)) = data.split_first() else {
        return;
    };
    match choice % 5 {
        0 => any_delta(rest),
        1 => any_signature(rest),
        2 => any_edit(rest),
        3 => any_chain(rest),
        _ => any_members(rest),
    }
});

fn basis() -> Vec<u8> {
    (0..1024_u32).map(|number| (number % 251) as u8).collect()
}

fn patched(basis: &[u8], delta: &[u8], max_size: u64, step: usize) -> Result<Vec<u8>, PatchError> {
    let target = InMemory {
        basis,
        result: Vec::new(),
    };
    let mut patcher = Patcher::new(target, max_size);
    for piece in delta.chunks(step) {
        patcher.feed(piece)?;
    }
    let size = patcher.finish()?;
    let result = patcher.into_target().result;
    assert_eq!(size, result.len() as u64);
    assert!(size <= max_size);
    Ok(result)
}

/// Pieces of any size make the same.
fn any_delta(delta: &[u8]) {
    let basis = basis();
    let whole = patched(&basis, delta, MOST, usize::MAX).ok();
    assert_eq!(whole, patched(&basis, delta, MOST, 1).ok());
    assert_eq!(whole, patched(&basis, delta, MOST, 7).ok());
}

fn any_signature(data: &[u8]) {
    let Ok(format) = Format::new(MAGICS[0], 64, 8) else {
        panic!("a sound format")
    };
    for size in [None, Some(1024), Some(u64::MAX)] {
        let Ok(old) = OldSignature::parse(data, size) else {
            continue;
        };
        let mut encoder = Encoder::new(old, format);
        let mut delta = encoder.feed(&basis());
        delta.extend(encoder.feed(data));
        delta.extend(encoder.finish().0);
        assert!(delta.ends_with(&[0]));
    }
}

fn signature_of(format: Format, content: &[u8]) -> Vec<u8> {
    let mut builder = Builder::new(format, true);
    builder.update(content);
    builder.finish();
    builder.take()
}

/// What the delta was made from comes back, with all instruction sets, and all sign alike.
fn any_edit(data: &[u8]) {
    let [kind, block_len, repeats, cut, rest @ ..] = data else {
        return;
    };
    let magic = MAGICS[usize::from(kind % 4)];
    let Ok(format) = Format::new(magic, u64::from(*block_len) * 3 + 1, 16) else {
        panic!("a sound format")
    };
    let half = rest.len() * usize::from(*cut) / 256;
    let old = rest[..half].repeat(1 + usize::from(repeats % 32));
    let new = rest[half..].repeat(1 + usize::from(repeats / 32));
    let mut signed = None;
    // Changing the level proves that its hashes are right, which takes its time.
    let levels = if kind & 0x70 == 0 {
        &Level::ALL[..]
    } else {
        &[]
    };
    let current = level::current();
    for &level in levels.iter().chain([&current]) {
        if level != level::current() && !level::set(level) {
            continue;
        }
        let signature = signature_of(format, &old);
        let Ok(parsed) = OldSignature::parse(&signature, Some(old.len() as u64)) else {
            panic!("a sound signature")
        };
        let mut encoder = Encoder::new(parsed, format);
        let (first, second) = new.split_at(new.len() * usize::from(*cut) / 256);
        let mut delta = encoder.feed(first);
        delta.extend(encoder.feed(second));
        let (end, hash) = encoder.finish();
        delta.extend(end);
        let result = patched(&old, &delta, new.len() as u64, usize::MAX);
        assert!(result.is_ok_and(|result| result == new));
        let made = (signature, encoder.take_signature(), hash);
        assert!(made.1 == signature_of(format, &new));
        assert!(signed.get_or_insert_with(|| made.clone()) == &made);
    }
}

/// A chain of deltas makes what carrying out one after the other makes, unless too much is missing.
fn any_chain(data: &[u8]) {
    let [most, step, rest @ ..] = data else {
        return;
    };
    let basis = basis();
    let mut machine = Composition::new(usize::from(*most));
    let mut held = Vec::new();
    let mut state = Some(basis.clone());
    let mut position = 0;
    while position < rest.len() {
        let length = rest[position..]
            .windows(SEPARATOR.len())
            .position(|window| window == SEPARATOR)
            .unwrap_or(rest.len() - position);
        let delta = [b"rs\x026", &rest[position..position + length]].concat();
        position += length + SEPARATOR.len();
        let (Ok(place), Ok(())) = (machine.feed_delta(&delta), machine.finish_delta(MOST)) else {
            return;
        };
        assert_eq!(place, held.len() as u64);
        held.extend_from_slice(&delta);
        state = state.and_then(|state| patched(&state, &delta, MOST, usize::MAX).ok());
    }
    if !machine.fits() || !machine.make_ready() {
        return;
    }
    let mut made = Vec::new();
    take(&mut machine, &held, &[], &mut made);
    for chunk in basis.chunks(1 + usize::from(*step)) {
        let mut to_hold = Vec::new();
        let passes = machine.feed(chunk.len(), &mut to_hold);
        for part in to_hold {
            let place = part.place as usize;
            let end = place + part.to - part.from;
            held.resize(held.len().max(end), 0);
            held[place..end].copy_from_slice(&chunk[part.from..part.to]);
        }
        if passes {
            made.extend_from_slice(chunk);
        }
        take(&mut machine, &held, chunk, &mut made);
    }
    if let (Ok(()), Some(state)) = (machine.finish(), state) {
        assert!(made == state);
    }
}

fn take(machine: &mut Composition, held: &[u8], chunk: &[u8], made: &mut Vec<u8>) {
    while let Some(piece) = machine.piece(1000) {
        let (from, at, length) = match piece {
            Piece::Held(place, length) => (held, place as usize, length),
            Piece::Chunk(place, length) => (chunk, place, length),
        };
        made.extend_from_slice(&from[at..at + length]);
        machine.advance(length);
    }
}

/// Members lie in order in the piece, at least their headers; checksums are made right for half of the inputs.
fn any_members(data: &[u8]) {
    let Some((&sign, rest)) = data.split_first() else {
        return;
    };
    let mut piece = rest.to_vec();
    if sign & 1 == 1 {
        piece.chunks_exact_mut(512).for_each(sum_up);
    }
    for position in [0, 512, 1, piece.len(), usize::MAX] {
        let mut before = position;
        for member in members::usual(&piece, position) {
            assert!(member.start >= before);
            assert!(member.start < member.begin && member.begin <= piece.len());
            assert!(member.begin <= member.end);
            assert!(!member.path.is_empty() && !member.path.contains(&0));
            assert!(!member
                .path
                .split(|&byte| byte == b'/')
                .any(|part| part == b".."));
            before = member.begin;
        }
    }
}

fn sum_up(block: &mut [u8]) {
    block[148..156].copy_from_slice(b"        ");
    let total: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{total:06o}\0 ").as_bytes());
}
