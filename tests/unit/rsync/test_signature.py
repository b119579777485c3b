"""Signatures and content hashes, by both kernels."""

from __future__ import annotations

import hashlib
import struct

import pytest

from tests.support.kernels import ALL_KINDS, longest_strong, sign
from twofold.rsync import SignatureKind, specification
from twofold.rsync.checksums import md4
from twofold.rsync.kernel import Kernel

HELLO = {
    SignatureKind.MD4_ROLLSUM: "7273013600000200000000080ad002d863481c78ae04c201",
    SignatureKind.BLAKE2_ROLLSUM: "7273013700000200000000080ad002d893becc6e9882211c",
    SignatureKind.MD4_RABIN_KARP: "72730146000002000000000860ef534363481c78ae04c201",
    SignatureKind.BLAKE2_RABIN_KARP: "72730147000002000000000860ef534393becc6e9882211c",
}
THREE_BLOCKS = b"A" * 512 + b"B" * 512 + b"C" * 300
CONTENT = b"".join(hashlib.blake2b(bytes([i])).digest() for i in range(100))


def content_hash(content: bytes, block_len: int) -> bytes:
    blocks = (content[start : start + block_len] for start in range(0, len(content), block_len))
    hashes = b"".join(hashlib.blake2b(block, digest_size=32).digest() for block in blocks)
    return hashlib.blake2b(hashes + struct.pack(">QI", len(content), block_len), digest_size=32).digest()


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        (b"", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        (b"abc", "a448017aaf21d8525fc10ae87aa6729d"),
        (b"1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
    ],
)
def test_md4_gives_the_answers_of_its_rfc(message: bytes, digest: str) -> None:
    assert md4(message).hex() == digest


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_short_file_has_the_documented_signature(kernel: Kernel, kind: SignatureKind) -> None:
    assert sign(kernel, b"hello\n", kind).hex() == HELLO[kind]


def test_three_blocks_have_the_documented_signature(kernel: Kernel) -> None:
    expected = "727301360000020000000008 6000c000e4185eee7430a72a 6100c20064c006cb76670ecf 83fc72d8f80386a55e5795a5"
    assert sign(kernel, THREE_BLOCKS, SignatureKind.MD4_ROLLSUM) == bytes.fromhex(expected)


def test_an_empty_file_has_a_header_and_nothing_else(kernel: Kernel) -> None:
    builder = kernel.SignatureBuilder(SignatureKind.BLAKE2_RABIN_KARP, 512, 16)
    assert builder.finish() == content_hash(b"", 512)
    assert builder.take() == bytes.fromhex("727301470000020000000010")


def test_what_was_taken_does_not_come_again(kernel: Kernel) -> None:
    builder = kernel.SignatureBuilder(SignatureKind.MD4_ROLLSUM, 512, 8)
    taken = [builder.take()]
    for start in range(0, len(THREE_BLOCKS), 100):
        builder.update(THREE_BLOCKS[start : start + 100])
        taken.append(builder.take())
    builder.finish()
    taken.append(builder.take())
    assert len(taken[0]) == 12
    assert b"".join(taken) == sign(kernel, THREE_BLOCKS, SignatureKind.MD4_ROLLSUM)
    assert builder.take() == b""


def test_the_size_counts_what_was_given(kernel: Kernel) -> None:
    builder = kernel.SignatureBuilder(SignatureKind.MD4_ROLLSUM, 512, 8)
    builder.update(b"12345")
    builder.update_many(b"abcdef", [4, 0], [2, 3])
    assert builder.size == 10


def test_a_hash_that_is_not_wanted_is_empty(kernel: Kernel) -> None:
    builder = kernel.SignatureBuilder(SignatureKind.MD4_ROLLSUM, 512, 8, with_hash=False)
    builder.update(THREE_BLOCKS)
    assert builder.finish() == b""
    assert builder.take() == sign(kernel, THREE_BLOCKS, SignatureKind.MD4_ROLLSUM)


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("size", [0, 1, 63, 64, 127, 128, 129, 511, 512, 513, 1024, 5000])
def test_the_content_hash_is_the_documented_one(kernel: Kernel, kind: SignatureKind, size: int) -> None:
    builder = kernel.SignatureBuilder(kind, 512, 8)
    builder.update(memoryview(CONTENT)[:size])
    assert builder.finish() == content_hash(CONTENT[:size], 512)


def test_slices_of_a_buffer_are_joined(kernel: Kernel) -> None:
    builder = kernel.SignatureBuilder(SignatureKind.BLAKE2_ROLLSUM, 512, 8)
    builder.update_many(bytearray(b"xx" + THREE_BLOCKS), [2, 302, 1000], [300, 698, 326])
    assert builder.finish() == content_hash(THREE_BLOCKS, 512)
    assert builder.take() == sign(kernel, THREE_BLOCKS, SignatureKind.BLAKE2_ROLLSUM)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_many_files_are_signed_as_each_alone(kernel: Kernel, kind: SignatureKind) -> None:
    offsets = [0, 5, 0, 700, 40, 3000, 6400, 100, 900, 1, 2]
    lengths = [0, 1, 600, 2000, 1536, 3400, 0, 64, 3, 1999, 512]
    block_lens = [512, 512, 512, 512, 512, 1024, 512, 64, 1, 700, 2048]
    strong_len = longest_strong(kind)
    signatures, hashes = kernel.sign_many(CONTENT, offsets, lengths, block_lens, kind, strong_len)
    expected = b""
    for number, (offset, length, block_len) in enumerate(zip(offsets, lengths, block_lens, strict=True)):
        content = CONTENT[offset : offset + length]
        expected += sign(specification, content, kind, block_len=block_len, strong_len=strong_len)
        assert hashes[number * 32 : number * 32 + 32] == content_hash(content, block_len)
    assert signatures == expected
    assert kernel.content_hashes(CONTENT, offsets, lengths, block_lens) == hashes


def test_no_files_have_no_signatures(kernel: Kernel) -> None:
    assert kernel.sign_many(b"", [], [], [], SignatureKind.MD4_ROLLSUM, 8) == (b"", b"")
    assert kernel.content_hashes(b"", [], [], []) == b""


@pytest.mark.parametrize(
    "arguments",
    [
        (0x72730138, 512, 8),
        (0x72730136, 0, 8),
        (0x72730136, 512, 0),
        (0x72730136, 512, 17),
        (0x72730137, 512, 33),
        (0x72730147, (1 << 31) + 1, 8),
    ],
)
def test_impossible_properties_are_refused(kernel: Kernel, arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError):
        kernel.SignatureBuilder(*arguments)
    with pytest.raises(ValueError):
        kernel.DeltaEncoder(b"", *arguments)


@pytest.mark.parametrize(
    ("offsets", "lengths", "block_lens"),
    [
        ([0, 1], [1], [512]),
        ([5], [6], [512]),
        ([11], [0], [512]),
        ([1 << 60], [1 << 60], [512]),
        ([0], [1], [0]),
        ([0], [1], [512, 512]),
    ],
)
def test_slices_outside_the_buffer_are_refused(
    kernel: Kernel, offsets: list[int], lengths: list[int], block_lens: list[int]
) -> None:
    with pytest.raises(ValueError):
        kernel.content_hashes(b"0123456789", offsets, lengths, block_lens)
    with pytest.raises(ValueError):
        kernel.sign_many(b"0123456789", offsets, lengths, block_lens, SignatureKind.MD4_ROLLSUM, 8)


def test_nothing_can_be_added_to_a_finished_signature(kernel: Kernel) -> None:
    builder = kernel.SignatureBuilder(SignatureKind.MD4_ROLLSUM, 512, 8)
    builder.finish()
    with pytest.raises(ValueError):
        builder.update(b"more")
    with pytest.raises(ValueError):
        builder.finish()


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_blocks_too_long_to_be_kept_are_signed_as_they_come(kind: SignatureKind) -> None:
    native = pytest.importorskip("twofold.rsync.native")
    long, strong_len = (1 << 20) + 1, longest_strong(kind)
    content = bytes(long - len(CONTENT)) + CONTENT
    builder = native.SignatureBuilder(kind, long, strong_len)
    for start in range(0, long, 77_777):
        builder.update(content[start : start + 77_777])
    builder.update(b"hello\n")
    assert builder.finish() == content_hash(content + b"hello\n", long)
    made = builder.take()
    assert made[12 : 16 + strong_len] == native.sign_many(content, [0], [long], [long], kind, strong_len)[0][12:]
    assert made[16 + strong_len :][:12] == bytes.fromhex(HELLO[kind])[12:]


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_sums_of_blocks_are_those_of_the_signature_and_of_the_content_hash(kernel: Kernel, kind: SignatureKind) -> None:
    content = CONTENT[: 3 * 512 + 100]
    signature = sign(kernel, content, kind, strong_len=16)
    expected = b""
    for number in range(3):
        block = content[number * 512 : number * 512 + 512]
        blake = hashlib.blake2b(block, digest_size=32).digest()
        weak_and_strong = signature[12 + 20 * number : 32 + 20 * number]
        expected += weak_and_strong + (blake if longest_strong(kind) == 16 else blake[16:])
    assert kernel.block_sums(content, kind, 512) == expected
    assert kernel.block_sums(content[:511], kind, 512) == b""


def test_sums_of_impossible_blocks_are_refused(kernel: Kernel) -> None:
    with pytest.raises(ValueError, match="Blocks of 0 bytes"):
        kernel.block_sums(b"x", SignatureKind.MD4_ROLLSUM, 0)
    with pytest.raises(ValueError, match="Unknown signature kind"):
        kernel.block_sums(b"x", 1, 512)


@pytest.mark.parametrize("block_len", [1, 512, 4096, 1 << 21])
@pytest.mark.parametrize("content", [b"", b"x" * 5000, bytes(20_000), bytes(9000) + b"\1" + bytes(9000)])
def test_a_content_hash_alone_is_that_of_a_signature(kernel: Kernel, content: bytes, block_len: int) -> None:
    """Also where blocks are all zeros, of which only one is hashed."""
    content = content[: 40 * block_len]
    builder = specification.SignatureBuilder(SignatureKind.BLAKE2_RABIN_KARP, block_len, 8)
    builder.update(content)
    hasher = kernel.ContentHasher(block_len)
    for start in range(0, len(content), 1000):
        hasher.update(content[start : start + 1000])
    assert hasher.finish() == builder.finish()
    with pytest.raises(ValueError, match="finished"):
        hasher.finish()


def test_a_content_hash_of_impossible_blocks_is_refused(kernel: Kernel) -> None:
    for block_len in (0, (1 << 31) + 1):
        with pytest.raises(ValueError, match="not possible"):
            kernel.ContentHasher(block_len)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_zeros_between_other_blocks_are_signed_as_specified(kernel: Kernel, kind: SignatureKind) -> None:
    content = (bytes(3 * 300) + b"a" * 300 + bytes(299) + b"b") * 8 + bytes(257)
    assert sign(kernel, content, kind, block_len=300) == sign(specification, content, kind, block_len=300)
