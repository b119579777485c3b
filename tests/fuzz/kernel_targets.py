"""Deltas and signatures: both kernels take them alike, and a patch gives back what a delta was made from."""

from __future__ import annotations

from tests.fuzz.target import Numbers, Target
from tests.support.compositions import MAGIC, composed
from tests.support.kernels import sign
from twofold.errors import CorruptDelta, CorruptSignature
from twofold.rsync import SignatureKind, specification
from twofold.rsync.kernel import Kernel

try:
    from twofold.rsync import native

    KERNELS: tuple[Kernel, ...] = (native, specification)
except ImportError:  # then there is one to be fuzzed, and nothing to compare it with
    KERNELS = (specification,)
KINDS = tuple(SignatureKind)
OLD = bytes(range(256)) * 4
MOST = 1 << 14
"""Results are no larger, nor is the time that carrying out a delta takes."""

SEPARATOR = b"\x55|"  # a reserved command: no sound delta has it outside of a literal


def check_delta(data: bytes) -> None:
    results: list[bytes | None] = []
    for kernel in KERNELS:
        try:
            results.append(kernel.patch_bytes(OLD, data, MOST))
        except CorruptDelta:
            results.append(None)
    assert len(set(results)) == 1
    assert results[0] is None or len(results[0]) <= MOST


def check_composition(data: bytes) -> None:
    """A chain of deltas is refused or not, and makes the same, by both kernels and by patching one by one."""
    numbers = Numbers(data)
    most, step = numbers.below(32), 1 + numbers.below(1024)
    deltas = [MAGIC + each for each in numbers.fields(SEPARATOR, 4) if each]
    if not deltas:
        return
    found = [made_of(kernel, deltas, most, step) for kernel in KERNELS]
    assert len(set(found)) == 1
    if isinstance(found[0], bytes):
        state = OLD
        try:
            for delta in deltas:
                state = specification.patch_bytes(state, delta, MOST)
        except CorruptDelta:
            return  # a delta in between copies what is not there, and the result does not need it
        assert found[0] == state


def made_of(kernel: Kernel, deltas: list[bytes], most: int, step: int) -> bytes | str:
    try:
        made, _ = composed(kernel, OLD, deltas, step=step, size=1000, most_commands=most, max_size=MOST)
    except CorruptDelta:
        return "corrupt"
    return "too many" if made is None else made


def check_signature(data: bytes) -> None:
    """Any bytes for an old signature: refused alike, or a delta that stands by itself comes of it."""
    numbers = Numbers(data)
    size = (None, len(OLD), numbers.below(1 << 32))[numbers.below(3)]
    new = OLD[100:600] + numbers.rest[:200]
    accepted = []
    for kernel in KERNELS:
        try:
            encoder = kernel.DeltaEncoder(numbers.rest, SignatureKind.MD4_ROLLSUM, 64, 8, basis_size=size)
        except CorruptSignature:
            accepted.append(False)
            continue
        accepted.append(True)
        delta = encoder.feed(new) + encoder.finish()[0]
        assert sign(kernel, new, SignatureKind.MD4_ROLLSUM, block_len=64) == encoder.take_signature()
        for each in KERNELS:
            assert is_whole(each, delta)
    assert len(set(accepted)) == 1


def is_whole(kernel: Kernel, delta: bytes) -> bool:
    """Whether nothing is wrong with a delta but what it is to be applied to."""
    try:
        kernel.patch_bytes(bytes(1 << 16), delta, 1 << 17)
    except CorruptDelta as error:
        return "beyond the basis" in str(error) or "makes more" in str(error)
    return True


def check_edits(data: bytes) -> None:
    """Whatever was and is: patch(old, delta(old, new)) is new, whichever kernel makes what; signatures are equal."""
    numbers = Numbers(data)
    kind = KINDS[numbers.below(4)]
    block_len, strong_len, cut, repeats = (1 + numbers.below(limit) for limit in (300, 8, 512, 4))
    strong_len += 8  # with fewer bytes accidental matches can be looked for, and fuzzing finds them
    old, new = numbers.fields(b"||", 2)
    old, new = old * repeats, new * repeats
    signature = sign(KERNELS[0], old, kind, block_len=block_len, strong_len=strong_len)
    assert signature == sign(specification, old, kind, block_len=block_len, strong_len=strong_len)
    hashes = set()
    for maker in KERNELS:
        encoder = maker.DeltaEncoder(signature, kind, block_len, strong_len, basis_size=len(old))
        delta = encoder.feed(new[:cut]) + encoder.feed(new[cut:])
        rest, digest = encoder.finish()
        hashes.add((digest, encoder.take_signature()))
        for patcher in KERNELS:
            assert patcher.patch_bytes(old, delta + rest, len(new)) == new
    assert len(hashes) == 1


def commands() -> list[bytes]:
    copies = [b"\x45\x00\x40", b"\x46\x10\x00\x80", b"\x49\x01\x00\x40", b"\x4a\x00\x10\x01\x00"]
    wide = b"\x54" + (5).to_bytes(8, "big") + (64).to_bytes(8, "big")
    return [b"\x00", b"\x03abc\x00", b"\x41\x05hello\x00", b"".join(copies) + b"\x00", wide + b"\x02xy\x00"]


def signature_seeds() -> list[bytes]:
    return [
        sign(specification, content, kind, block_len=64) + tail
        for kind in KINDS
        for content in (OLD[:200], b"a" * 130, b"")
        for tail in (bytes(5), b"\0\0\0\xc8\x02")
    ]


def edit_seeds() -> list[bytes]:
    contents = (b"||", b"abc||abcd", b"0123456789" * 9 + b"||" + b"56789" * 20)
    return [each + bytes((2, 0, 100, 7, 1, 0, at)) for each in contents for at in range(4)]


TARGETS = {
    "delta": Target(
        check_delta,
        lambda: [MAGIC + each for each in commands()],
        (MAGIC, b"\x54" + b"\xff" * 16, b"\x44" + b"\x7f" + b"\xff" * 7),
        512,
    ),
    "composition": Target(
        check_composition,
        lambda: [SEPARATOR.join(commands()[at:]) + b"\x20\x01\x00" for at in range(5)],
        (SEPARATOR, b"\x45\x00\x40", b"\x4a\x00\x10\x01\x00", b"\x44" + b"\x7f" + b"\xff" * 7),
        512,
    ),
    "signature": Target(check_signature, signature_seeds, tuple(kind.to_bytes(4, "big") for kind in KINDS), 1024),
    "edits": Target(
        check_edits,
        edit_seeds,
        (b"||",),
        400,
    ),
}
