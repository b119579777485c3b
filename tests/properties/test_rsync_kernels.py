"""Whatever the content and its changes: both kernels agree, and a patch gives back what the delta was made from."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.kernels import ALL_KINDS, VARIANTS, kernel_variant, longest_strong, sign
from twofold.errors import CorruptDelta, CorruptSignature
from twofold.rsync import SignatureKind, specification
from twofold.rsync.kernel import Kernel

EXAMPLES = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
NATIVE = [name for name in VARIANTS if name != "python"]
MOST = 1 << 20


@pytest.fixture(params=VARIANTS)
def kernel(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    with kernel_variant(request.param) as chosen:
        yield chosen


@pytest.fixture(params=NATIVE)
def native(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    with kernel_variant(request.param) as chosen:
        yield chosen


@st.composite
def contents(draw: st.DrawFn, most: int = 4000) -> bytes:
    """Noise, runs and repetitions, so that some blocks are equal and others are not."""
    pieces = draw(st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.integers(1, 60)), max_size=6))
    return b"".join(piece * count for piece, count in pieces)[:most]


@st.composite
def edits(draw: st.DrawFn, old: bytes) -> bytes:
    """The old content with a few pieces replaced, inserted, deleted, moved."""
    new = old
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(new)))
        end = min(len(new), start + draw(st.integers(0, 200)))
        middle = draw(st.one_of(st.just(b""), st.binary(max_size=30), st.just(old[:150]), st.just(new[start:end] * 2)))
        new = new[:start] + middle + new[end:]
    return new


@st.composite
def changes(draw: st.DrawFn) -> tuple[bytes, bytes]:
    old = draw(contents())
    return old, draw(st.one_of(edits(old), contents()))


@st.composite
def formats(draw: st.DrawFn) -> tuple[SignatureKind, int, int]:
    """Kind, block length, strong length."""
    kind = draw(st.sampled_from(ALL_KINDS))
    block_len = draw(st.one_of(st.integers(1, 40), st.sampled_from([63, 64, 65, 128, 512, 1000, 5000])))
    return kind, block_len, draw(st.integers(4, longest_strong(kind)))


def pieces(content: bytes, step: int) -> list[bytes]:
    return [content[start : start + step] for start in range(0, len(content), step)]


@EXAMPLES
@given(
    change=changes(),
    old_format=formats(),
    new_format=formats(),
    same=st.booleans(),
    knows_size=st.booleans(),
    summed=st.booleans(),
    step=st.integers(50, 5000),
    lead=st.integers(0, 40),
)
def test_patching_with_a_delta_gives_the_new_content(
    kernel: Kernel,
    change: tuple[bytes, bytes],
    old_format: tuple[SignatureKind, int, int],
    new_format: tuple[SignatureKind, int, int],
    same: bool,
    knows_size: bool,
    summed: bool,
    step: int,
    lead: int,
) -> None:
    """With sums from the block `lead` on: the first part of a file comes without."""
    old, new = change
    kind, block_len, strong_len = old_format
    signature = sign(kernel, old, kind, block_len=block_len, strong_len=max(8, strong_len))
    new_kind, new_block_len, new_strong_len = old_format if same else new_format
    encoder = kernel.DeltaEncoder(
        signature, new_kind, new_block_len, new_strong_len, basis_size=len(old) if knows_size else None
    )
    if summed:
        step = -(-step // new_block_len) * new_block_len
        first = min(lead * new_block_len, len(new) // new_block_len * new_block_len)
        rest = pieces(new[first:], step)
        sums = [specification.block_sums(piece, new_kind, new_block_len) for piece in rest]
        assert sums == [kernel.block_sums(piece, new_kind, new_block_len) for piece in rest]
        delta = encoder.feed(new[:first]) + b"".join(map(encoder.feed, rest, sums))
    else:
        delta = b"".join(encoder.feed(piece) for piece in pieces(new, step))
    rest, content_hash = encoder.finish()
    assert specification.patch_bytes(old, delta + rest, len(new)) == new
    assert kernel.patch_bytes(old, delta + rest, len(new)) == new
    builder = specification.SignatureBuilder(new_kind, new_block_len, new_strong_len)
    builder.update(new)
    assert content_hash == builder.finish()
    assert encoder.take_signature() == builder.take()


@EXAMPLES
@given(content=contents(), form=formats(), step=st.integers(1, 5000), with_hash=st.booleans())
def test_the_compiled_kernel_signs_as_specified(
    native: Kernel, content: bytes, form: tuple[SignatureKind, int, int], step: int, with_hash: bool
) -> None:
    signatures = []
    for kernel in (native, specification):
        builder = kernel.SignatureBuilder(*form, with_hash=with_hash)
        for piece in pieces(content, step):
            builder.update(piece)
        content_hash = builder.finish()
        signatures.append((content_hash, builder.take(), builder.size))
    assert signatures[0] == signatures[1]


@EXAMPLES
@given(
    files=st.lists(st.tuples(contents(800), st.sampled_from([1, 64, 512, 700])), max_size=6),
    kind=st.sampled_from(ALL_KINDS),
    strong_len=st.integers(1, 16),
)
def test_many_files_are_signed_as_each_alone(
    native: Kernel, files: list[tuple[bytes, int]], kind: SignatureKind, strong_len: int
) -> None:
    buffer, offsets = b"", []
    for content, _ in files:
        offsets.append(len(buffer))
        buffer += content
    lengths = [len(content) for content, _ in files]
    block_lens = [block_len for _, block_len in files]
    signatures, hashes = native.sign_many(buffer, offsets, lengths, block_lens, kind, strong_len)
    expected = [specification.SignatureBuilder(kind, block_len, strong_len) for _, block_len in files]
    for builder, (content, _) in zip(expected, files, strict=True):
        builder.update(content)
    assert hashes == b"".join(builder.finish() for builder in expected)
    assert signatures == b"".join(builder.take() for builder in expected)
    assert native.content_hashes(buffer, offsets, lengths, block_lens) == hashes


def edited_at_random(old: bytes, chance: random.Random) -> bytes:
    """Up to thirty changes, from single bytes to a quarter of the file."""
    new = bytearray(old)
    for _ in range(chance.randrange(30)):
        start = chance.randrange(len(new) + 1)
        end = start + chance.choice([0, 0, 1, 100, 2000, chance.randrange(len(old) // 4 + 1)])
        source = chance.randrange(len(old) + 1)
        new[start:end] = chance.choice(
            [
                b"",
                b"!",
                chance.randbytes(end - start),
                bytes(chance.randrange(9000)),
                old[source : source + 9999],
            ]
        )
    return bytes(new)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 32), kind=st.sampled_from(ALL_KINDS), knows_size=st.booleans(), same=st.booleans())
def test_large_content_in_pieces_is_patched_back(
    native: Kernel, seed: int, kind: SignatureKind, knows_size: bool, same: bool
) -> None:
    """Larger than the native encoder's window, which smaller content never fills."""
    chance = random.Random(seed)
    old = chance.randbytes(chance.randrange(1_200_000)) + bytes(chance.randrange(50_000))
    new = edited_at_random(old, chance)
    block_len = chance.choice([64, 512, 1000, 8192, 131_072])
    signature = sign(native, old, kind, block_len=block_len, strong_len=16)
    new_block_len = block_len if same else 1024
    encoder = native.DeltaEncoder(signature, kind, new_block_len, 16, basis_size=len(old) if knows_size else None)
    delta = b"".join(encoder.feed(piece) for piece in pieces(new, chance.choice([5000, 100_000, 1 << 20, 1 << 22])))
    rest, content_hash = encoder.finish()
    assert native.patch_bytes(old, delta + rest, len(new)) == new
    expected = native.sign_many(new, [0], [len(new)], [new_block_len], kind, 16)
    assert (encoder.take_signature(), content_hash) == expected


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """Valid bytes with a few of them changed, cut or added."""
    content = bytearray(valid)
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        content[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(content)


OLD = bytes(range(256)) * 5
NEW = OLD[:300] + b"changed" + OLD[500:]
SIGNATURES = [sign(specification, OLD, kind, block_len=64) for kind in ALL_KINDS]
_ENCODER = specification.DeltaEncoder(SIGNATURES[0], ALL_KINDS[0], 64, 8)
DELTA = _ENCODER.feed(NEW) + _ENCODER.finish()[0]


@EXAMPLES
@given(
    delta=st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda tail: b"rs\x026" + tail), damaged(DELTA))
)
def test_any_delta_gives_bytes_or_is_refused_alike(kernel: Kernel, delta: bytes) -> None:
    results: list[bytes | None] = []
    for each in (kernel, specification):
        try:
            results.append(each.patch_bytes(OLD, delta, MOST))
        except CorruptDelta:
            results.append(None)
    assert results[0] == results[1]


@EXAMPLES
@given(
    signature=st.one_of(st.binary(max_size=60), *(damaged(signature) for signature in SIGNATURES)),
    basis_size=st.one_of(st.none(), st.just(len(OLD)), st.integers(0, 1 << 64 - 1)),
)
def test_any_signature_can_be_encoded_against_or_is_refused_alike(
    kernel: Kernel, signature: bytes, basis_size: int | None
) -> None:
    accepted = []
    for each in (kernel, specification):
        try:
            encoder = each.DeltaEncoder(signature, SignatureKind.MD4_ROLLSUM, 64, 8, basis_size=basis_size)
        except CorruptSignature:
            accepted.append(False)
        else:
            accepted.append(True)
            delta = encoder.feed(NEW) + encoder.finish()[0]
            assert delta.startswith(b"rs\x026")
            assert delta.endswith(b"\0")
    assert accepted[0] == accepted[1]
