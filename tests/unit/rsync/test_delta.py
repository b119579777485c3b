"""Deltas, by both kernels: what they contain, how small they are, and that damaged signatures are refused."""

from __future__ import annotations

import hashlib

import pytest

from tests.support.kernels import ALL_KINDS, sign
from twofold.errors import CorruptSignature
from twofold.rsync import SignatureKind
from twofold.rsync.kernel import Kernel

KIND = SignatureKind.MD4_ROLLSUM
OLD = b"A" * 512 + b"B" * 512 + b"C" * 300
NOISE = b"".join(hashlib.blake2b(b"%d" % number).digest() for number in range(400))


def delta_of(
    kernel: Kernel,
    old: bytes,
    new: bytes,
    kind: SignatureKind = KIND,
    *,
    knows_size: bool = False,
    block_len: int = 512,
) -> bytes:
    signature = sign(kernel, old, kind, block_len=block_len)
    encoder = kernel.DeltaEncoder(signature, kind, block_len, 8, basis_size=len(old) if knows_size else None)
    delta = encoder.feed(new)
    delta += encoder.finish()[0]
    assert kernel.patch_bytes(old, delta, len(new)) == new
    assert encoder.take_signature() == sign(kernel, new, kind, block_len=block_len)
    return delta


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("knows_size", [False, True])
def test_the_documented_delta_is_made(kernel: Kernel, kind: SignatureKind, knows_size: bool) -> None:
    new = b"B" * 512 + b"xyz" + b"C" * 300
    expected = "72730236 4a02000200 0378797a 4a0400012c 00"
    assert delta_of(kernel, OLD, new, kind, knows_size=knows_size) == bytes.fromhex(expected)


@pytest.mark.parametrize("knows_size", [False, True])
@pytest.mark.parametrize("size", [1, 511, 512, 513, 1024, 9999])
def test_an_unchanged_file_is_one_copy(kernel: Kernel, size: int, knows_size: bool) -> None:
    old = NOISE[:size]
    delta = delta_of(kernel, old, old, knows_size=knows_size)
    form = "4500" if size < 256 else "4600"
    assert delta == bytes.fromhex("72730236" + form) + size.to_bytes(1 if size < 256 else 2, "big") + b"\0"


def test_an_empty_file_is_just_the_end(kernel: Kernel) -> None:
    assert delta_of(kernel, OLD, b"") == b"rs\x026\0"
    assert delta_of(kernel, b"", b"") == b"rs\x026\0"


@pytest.mark.parametrize(
    ("size", "command"),
    [
        (1, "01"),
        (64, "40"),
        (65, "4141"),
        (255, "41ff"),
        (256, "420100"),
        (65535, "42ffff"),
    ],
)
def test_a_literal_has_the_shortest_form(kernel: Kernel, size: int, command: str) -> None:
    new = (NOISE * 3)[:size]
    assert delta_of(kernel, b"", new) == b"rs\x026" + bytes.fromhex(command) + new + b"\0"


@pytest.mark.parametrize("knows_size", [False, True])
def test_an_edit_in_place_costs_one_block(kernel: Kernel, knows_size: bool) -> None:
    new = NOISE[:5000] + b"!" + NOISE[5001:]
    assert len(delta_of(kernel, NOISE, new, knows_size=knows_size)) < 512 + 20


@pytest.mark.parametrize("place", [0, 1, 511, 512, 7000, 20000, len(NOISE) - 1])
def test_an_insertion_costs_about_one_block(kernel: Kernel, place: int) -> None:
    new = NOISE[:place] + b"inserted" + NOISE[place:]
    assert len(delta_of(kernel, NOISE, new)) < 512 + 8 + 20


@pytest.mark.parametrize("place", [0, 1, 512, 7000])
def test_a_deletion_costs_at_most_the_rest_of_two_blocks(kernel: Kernel, place: int) -> None:
    new = NOISE[:place] + NOISE[place + 700 :]
    assert len(delta_of(kernel, NOISE, new)) < 2 * 512 + 20


def test_many_scattered_insertions_are_all_found(kernel: Kernel) -> None:
    new = b"".join(NOISE[start : start + 3000] + b"+" for start in range(0, len(NOISE), 3000))
    assert len(delta_of(kernel, NOISE, new)) < 9 * (512 + 30)


def test_swapped_halves_are_copied(kernel: Kernel) -> None:
    half = len(NOISE) // 1024 * 512
    assert len(delta_of(kernel, NOISE, NOISE[half:] + NOISE[:half], knows_size=True)) < 40


@pytest.mark.parametrize("knows_size", [False, True])
def test_a_run_of_equal_blocks_is_one_copy(kernel: Kernel, knows_size: bool) -> None:
    old = bytes(512 * 40)
    assert len(delta_of(kernel, old, old, knows_size=knows_size)) == 4 + 4 + 1
    assert len(delta_of(kernel, b"x" * 512 + old, b"yz" + old, knows_size=knows_size)) < 4 + 6 + 600


def test_a_file_that_grew_keeps_its_short_end_if_the_size_is_known(kernel: Kernel) -> None:
    assert delta_of(kernel, OLD, OLD + b"more", knows_size=True) == bytes.fromhex("72730236 4600052c") + b"\4more\0"


def test_no_copy_reaches_beyond_the_end_of_the_old_file(kernel: Kernel) -> None:
    for cut in range(1, 300, 37):
        delta_of(kernel, OLD, OLD[:-cut])
        delta_of(kernel, OLD, OLD + OLD[-cut:])


def test_a_signature_without_blocks_fits_every_size(kernel: Kernel) -> None:
    header = sign(kernel, b"", KIND)
    encoder = kernel.DeltaEncoder(header, KIND, 512, 8, basis_size=12345)
    delta = encoder.feed(b"new") + encoder.finish()[0]
    assert delta == b"rs\x026\3new\0"


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_the_new_signature_may_be_of_another_kind(kernel: Kernel, kind: SignatureKind) -> None:
    new = NOISE[:4000] + b"?" + NOISE[4000:]
    encoder = kernel.DeltaEncoder(sign(kernel, NOISE, kind), SignatureKind.BLAKE2_RABIN_KARP, 1024, 16)
    pieces = [encoder.feed(new[start : start + 999]) for start in range(0, len(new), 999)]
    rest, content_hash = encoder.finish()
    delta = b"".join([*pieces, rest])
    assert kernel.patch_bytes(NOISE, delta, 1 << 20) == new
    assert len(delta) < 600
    builder = kernel.SignatureBuilder(SignatureKind.BLAKE2_RABIN_KARP, 1024, 16)
    builder.update(new)
    assert content_hash == builder.finish()
    assert encoder.take_signature() == builder.take()
    assert encoder.size == len(new)


def test_old_blocks_beyond_eight_megabytes_make_a_literal(kernel: Kernel) -> None:
    signature = bytes.fromhex("72730136 00800001 00000008") + bytes(12)
    encoder = kernel.DeltaEncoder(signature, KIND, 512, 8)
    assert encoder.feed(b"abc") + encoder.finish()[0] == b"rs\x026\3abc\0"


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"rs\x016",
        bytes(12),
        bytes.fromhex("727301380000020000000008"),
        bytes.fromhex("727301360000000000000008"),
        bytes.fromhex("727301360000020000000000"),
        bytes.fromhex("727301360000020000000011"),
        bytes.fromhex("7273013600000200ffffffff"),
        bytes.fromhex("727301378000000100000010"),
        bytes.fromhex("727301360000020000000008") + bytes(11),
        bytes.fromhex("727301360000020000000008") + bytes(13),
    ],
)
def test_a_damaged_signature_is_refused(kernel: Kernel, damaged: bytes) -> None:
    with pytest.raises(CorruptSignature):
        kernel.DeltaEncoder(damaged, KIND, 512, 8)


@pytest.mark.parametrize("size", [0, 1024, 1537])
def test_a_signature_that_does_not_fit_the_size_is_refused(kernel: Kernel, size: int) -> None:
    with pytest.raises(CorruptSignature):
        kernel.DeltaEncoder(sign(kernel, OLD, KIND), KIND, 512, 8, basis_size=size)


def test_nothing_can_be_added_to_a_finished_delta(kernel: Kernel) -> None:
    encoder = kernel.DeltaEncoder(sign(kernel, OLD, KIND), KIND, 512, 8)
    encoder.finish()
    with pytest.raises(ValueError):
        encoder.feed(b"more")
    with pytest.raises(ValueError):
        encoder.finish()


def test_equal_weak_sums_everywhere_do_not_take_forever(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte of the new file meets a thousand blocks whose weak sum fits and whose strong sum does not."""
    monkeypatch.setattr("twofold.rsync.delta.FIRST_CREDIT", 4096)
    size = 3000 if kernel.IMPLEMENTATION == "python" else 3_000_000
    weak = sign(kernel, bytes(512), KIND)[12:16]
    blocks = b"".join(weak + number.to_bytes(8, "big") for number in range(1000))
    encoder = kernel.DeltaEncoder(bytes.fromhex("727301360000020000000008") + blocks, KIND, 512, 8)
    delta = encoder.feed(bytes(size)) + encoder.finish()[0]
    assert kernel.patch_bytes(b"", delta, size) == bytes(size)


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("old_kind", ALL_KINDS)
@pytest.mark.parametrize("step", [512, 5 * 512])
def test_sums_made_apart_change_nothing(
    kernel: Kernel, kind: SignatureKind, old_kind: SignatureKind, step: int
) -> None:
    old = NOISE
    new = old[:512] + b"page" * 128 + old[1024:3000] + b"inserted" + old[3000:9000] + old[:2000] + b"end"
    signature = sign(kernel, old, old_kind)
    alone = kernel.DeltaEncoder(signature, kind, 512, 8, basis_size=len(old))
    delta = alone.feed(new)
    rest, digest = alone.finish()
    helped = kernel.DeltaEncoder(signature, kind, 512, 8, basis_size=len(old))
    pieces = [new[start : start + step] for start in range(0, len(new), step)]
    helped_delta = b"".join(helped.feed(piece, kernel.block_sums(piece, kind, 512)) for piece in pieces)
    helped_rest, helped_digest = helped.finish()
    assert helped_digest == digest
    assert helped.size == len(new)
    assert helped.take_signature() == alone.take_signature()
    assert helped_delta + helped_rest == delta + rest
    assert kernel.patch_bytes(old, delta + rest, len(new)) == new


def test_sums_are_refused_where_no_block_begins_and_if_they_are_too_few_or_many(kernel: Kernel) -> None:
    encoder = kernel.DeltaEncoder(sign(kernel, OLD, KIND), KIND, 512, 8)
    sums = kernel.block_sums(NOISE[:1024], KIND, 512)
    for wrong in (sums[:-1], sums + b"x", b""):
        with pytest.raises(ValueError, match="Sums of 2 blocks are needed"):
            encoder.feed(NOISE[:1024], wrong)
    encoder.feed(NOISE[:100])
    with pytest.raises(ValueError, match="where a block begins"):
        encoder.feed(NOISE[:1024], sums)
    encoder.finish()
    with pytest.raises(ValueError, match="finished"):
        encoder.feed(NOISE[:1024], sums)
