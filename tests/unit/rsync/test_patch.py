"""Carrying out deltas, by both kernels."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from twofold.errors import CorruptDelta
from twofold.rsync.kernel import Kernel

BASIS = bytes(range(256)) * 300
MAGIC = b"rs\x026"


def patch_files(kernel: Kernel, basis: bytes, delta: bytes, *, max_size: int = 1 << 20, step: int = 1 << 20) -> bytes:
    with tempfile.TemporaryFile() as basis_file, tempfile.TemporaryFile() as result:
        basis_file.write(basis)
        basis_file.flush()
        patcher = kernel.Patcher(basis_file.fileno(), len(basis), result.fileno(), max_size=max_size)
        for start in range(0, len(delta), step):
            patcher.feed(delta[start : start + step])
        size = patcher.finish()
        made = os.pread(result.fileno(), 1 << 22, 0)
    assert size == len(made)
    return made


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_every_form_of_copy_and_literal_is_carried_out(kernel: Kernel, step: int) -> None:
    delta, expected = MAGIC, b""
    for form in range(16):
        position, length = form * 3, 20 + form
        delta += bytes([0x45 + form]) + position.to_bytes(1 << (form // 4), "big")
        delta += length.to_bytes(1 << (form % 4), "big")
        expected += BASIS[position : position + length]
    for width in range(4):
        delta += bytes([0x41 + width]) + (5).to_bytes(1 << width, "big") + b"12345"
        expected += b"12345"
    delta += b"\1x" + b"\x40" + b"y" * 64 + b"\0"
    expected += b"x" + b"y" * 64
    assert patch_files(kernel, BASIS, delta, step=step) == expected
    assert kernel.patch_bytes(BASIS, delta, 1 << 20) == expected


def test_what_follows_the_end_is_ignored(kernel: Kernel) -> None:
    assert kernel.patch_bytes(b"", MAGIC + b"\1a\0\xffgarbage", 1) == b"a"
    assert patch_files(kernel, b"", MAGIC + b"\1a\0\xffgarbage", step=3) == b"a"


def test_results_longer_than_the_buffer_are_complete(kernel: Kernel) -> None:
    basis = os.urandom(1_500_000)
    literal = os.urandom(1_200_000)
    copy = b"\x4f" + (7).to_bytes(4, "big") + (1_400_000).to_bytes(4, "big")
    delta = MAGIC + copy + b"\1!" + b"\x43" + len(literal).to_bytes(4, "big") + literal + b"\0"
    expected = basis[7:1_400_007] + b"!" + literal
    assert patch_files(kernel, basis, delta, max_size=1 << 22, step=700_001) == expected
    assert patch_files(kernel, basis, delta, max_size=1 << 22, step=1 << 22) == expected


DAMAGED = {
    "nothing": b"",
    "half a magic number": b"rs",
    "wrong magic number": b"rs\x016\0",
    "no end": MAGIC + b"\1a",
    "cut literal": MAGIC + b"\5ab",
    "cut command": MAGIC + b"\x4a\0",
    "reserved command 55": MAGIC + b"\x55\0",
    "reserved command ff": MAGIC + b"\xff\0",
    "literal of length zero": MAGIC + b"\x41\0\0",
    "copy of length zero": MAGIC + b"\x45\0\0\0",
    "copy beyond the end": MAGIC + b"\x45\0\x0b\0",
    "copy from the end": MAGIC + b"\x45\x0a\1\0",
    "copy with overflow": MAGIC + b"\x54" + b"\xff" * 8 + b"\x7f" + b"\xff" * 7 + b"\0",
    "negative length": MAGIC + b"\x44\x80" + bytes(7) + b"\0",
    "huge literal": MAGIC + b"\x44\x7f" + b"\xff" * 7 + b"\0",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_delta_is_refused(kernel: Kernel, name: str) -> None:
    with pytest.raises(CorruptDelta):
        kernel.patch_bytes(b"0123456789", DAMAGED[name], 1 << 20)
    for step in (1, 100):
        with pytest.raises(CorruptDelta):
            patch_files(kernel, b"0123456789", DAMAGED[name], step=step)


def test_a_result_beyond_the_limit_is_refused(kernel: Kernel) -> None:
    assert kernel.patch_bytes(BASIS, MAGIC + b"\x45\0\5\5abcde\0", 10) == BASIS[:5] + b"abcde"
    for delta in (MAGIC + b"\x45\0\5\6abcdef\0", MAGIC + b"\x45\0\x0b\0", MAGIC + b"\x0b" + b"x" * 11 + b"\0"):
        with pytest.raises(CorruptDelta):
            kernel.patch_bytes(BASIS, delta, 10)


def test_a_failed_delta_stays_failed(kernel: Kernel) -> None:
    with tempfile.TemporaryFile() as file:
        patcher = kernel.Patcher(file.fileno(), 0, file.fileno(), max_size=10)
        with pytest.raises(CorruptDelta):
            patcher.feed(MAGIC + b"\xff")
        with pytest.raises(CorruptDelta):
            patcher.feed(b"\0")
        with pytest.raises(CorruptDelta):
            patcher.finish()


def test_a_basis_shorter_than_promised_is_damage(kernel: Kernel) -> None:
    with tempfile.TemporaryFile() as basis, tempfile.TemporaryFile() as result:
        patcher = kernel.Patcher(basis.fileno(), 100, result.fileno(), max_size=100)
        with pytest.raises(CorruptDelta):
            patcher.feed(MAGIC + b"\x45\0\5\0")


def test_a_failed_write_is_an_operating_system_error(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "read-only").write_bytes(b"")
    descriptor = os.open(tmp_path / "read-only", os.O_RDONLY)
    try:
        patcher = kernel.Patcher(descriptor, 0, descriptor, max_size=100)
        patcher.feed(MAGIC + b"\1a\0")
        with pytest.raises(OSError, match="Bad file descriptor"):
            patcher.finish()
    finally:
        os.close(descriptor)


def test_writing_begins_where_the_descriptor_stands(kernel: Kernel) -> None:
    with tempfile.TemporaryFile(buffering=0) as result:
        result.write(b"before ")
        patcher = kernel.Patcher(result.fileno(), 0, result.fileno(), max_size=100)
        patcher.feed(MAGIC + b"\5after\0")
        assert patcher.finish() == 5
        assert os.pread(result.fileno(), 100, 0) == b"before after"
