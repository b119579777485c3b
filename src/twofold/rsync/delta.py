"""Deltas in pure Python: at each byte the block that begins there is looked for among the old file's blocks.

The window holds the content that is not yet written: at most two blocks and `LITERAL` bytes beyond what is fed.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from twofold.rsync.checks import check_format
from twofold.rsync.checksums import rolling_sum, strong_sum, weak_sum
from twofold.rsync.kernel import Data
from twofold.rsync.signature import OldSignature, SignatureBuilder

MAGIC: Final = b"rs\x026"
END: Final = b"\0"

LONGEST_OLD_BLOCK: Final = 8 << 20
"""With longer old blocks nothing is looked for. Such blocks are a sixty-four terabyte file's."""

LITERAL: Final = 1 << 16
"""Literals are kept back to this length, to be written as one command."""

MOST_EQUAL: Final = 8
"""Old blocks with the same weak sum that are compared at most: signatures can be made to have nothing else."""

FIRST_CREDIT: Final = 32 << 20
CREDIT_PER_BYTE: Final = 4
"""Bytes that may be hashed in vain, at first and per new byte: else such a signature costs a hash at every byte."""


class DeltaEncoder:
    """See `kernel.DeltaMaker`."""

    def __init__(
        self, old_signature: Data, kind: int, block_len: int, strong_len: int, *, basis_size: int | None = None
    ) -> None:
        check_format(kind, block_len, strong_len)
        self._old = OldSignature.parse(old_signature, basis_size)
        self._builder = SignatureBuilder(kind, block_len, strong_len)
        self._strong_sum = strong_sum(self._old.kind)
        self._weak_sum = weak_sum(self._old.kind)
        self._roll = rolling_sum(self._old.kind, self._old.block_len)
        self._blocks = _blocks_by_weak_sum(self._old)
        self._expected = 0
        self._credit = FIRST_CREDIT
        self._window = bytearray()
        self._position = 0
        """Place in the window up to which all is known to be a literal."""
        self._copy: tuple[int, int] | None = None
        self._made = bytearray(MAGIC)
        self._finished = False

    @property
    def size(self) -> int:
        return self._builder.size

    def feed(self, buffer: Data, sums: Data | None = None, /) -> bytes:
        if self._finished:
            raise ValueError("The delta is finished")
        if sums is None:
            self._builder.update(buffer)
        else:
            self._builder.update_summed(buffer, sums)
        self._window += buffer
        self._credit += CREDIT_PER_BYTE * len(buffer)
        if not self._old.sums or self._old.block_len > LONGEST_OLD_BLOCK:
            self._position = len(self._window)
        # Twice the block, so that the first weak sum of a search is not made anew for every few bytes.
        elif len(self._window) - self._position >= 2 * self._old.block_len:
            self._search()
        if self._position >= LITERAL:
            self._write_literal()
        return self._take()

    def finish(self) -> tuple[bytes, bytes]:
        if self._finished:
            raise ValueError("The delta is finished")
        self._finished = True
        if self._old.sums and self._old.block_len <= LONGEST_OLD_BLOCK:
            self._search()
            self._copy_known_end()
            self._find_short_block()
        self._position = len(self._window)
        self._write_literal()
        self._write_copy()
        self._made += END
        return self._take(), self._builder.finish()

    def take_signature(self) -> bytes:
        return self._builder.take()

    def _take(self) -> bytes:
        made = bytes(self._made)
        self._made.clear()
        return made

    def _search(self) -> None:
        """Looks at every place of the window at which a whole block begins."""
        block_len, window = self._old.block_len, self._window
        weak: int | None = None
        while self._position + block_len <= len(window):
            if weak is None:
                self._copy_known_end()
                if self._position + block_len > len(window):
                    break
                weak = self._weak_sum(window[self._position : self._position + block_len])
            found = self._find(weak)
            if found is not None:
                self._add_copy(found, block_len)
                weak = None
                continue
            after = self._position + block_len
            if after < len(window):
                weak = self._roll(weak, window[self._position], window[after])
            self._position += 1

    def _find(self, weak: int) -> int | None:
        """The old block that stands at the position. The one after the last copy first: it keeps copies together."""
        candidates = self._blocks.get(weak)
        block_len = self._old.block_len
        if candidates is None or self._credit < block_len:
            return None
        strong = self._strong_sum(self._window[self._position : self._position + block_len])[: self._old.strong_len]
        if self._expected < self._old.full_blocks and self._old.sums[self._expected] == (weak, strong):
            return self._expected
        for block in candidates:
            if self._old.sums[block][1] == strong:
                return block
        self._credit -= block_len
        return None

    def _copy_known_end(self) -> None:
        """Right after the old file's full blocks its short end may stand, if it is known how short it is."""
        block, length = self._old.full_blocks, self._old.last_len
        at_end = self._copy is not None and sum(self._copy) == block * self._old.block_len
        if self._position or length is None or block == len(self._old.sums) or not at_end:
            return
        if len(self._window) >= length and self._is_block(self._window[:length], block):
            self._add_copy(block, length)

    def _is_block(self, content: Data, block: int) -> bool:
        weak, strong = self._old.sums[block]
        return self._weak_sum(content) == weak and self._strong_sum(content)[: self._old.strong_len] == strong

    def _find_short_block(self) -> None:
        """At the very end the old file's last block may stand, and it may be short: any shorter rest is tried."""
        block = len(self._old.sums) - 1
        longest = min(len(self._window) - self._position, self._old.block_len - 1)
        known = self._old.last_len
        for length in range(longest, 0, -1) if known is None else (known,):
            if length > longest or self._credit < length:
                continue
            # The weak sum is made anew for each length: the square of a block length, but at most once a file.
            rest = self._window[len(self._window) - length :]
            self._credit -= length
            if self._is_block(rest, block):
                self._position = len(self._window) - length
                self._add_copy(block, length)
                return

    def _add_copy(self, block: int, length: int) -> None:
        """The content at the position is what the old file has in a block."""
        start = block * self._old.block_len
        if self._position:
            self._write_literal()
        if self._copy is not None and sum(self._copy) == start:
            self._copy = (self._copy[0], self._copy[1] + length)
        else:
            self._write_copy()
            self._copy = (start, length)
        del self._window[:length]
        self._expected = block + 1

    def _write_literal(self) -> None:
        """Writes the window up to the position."""
        length = self._position
        if length == 0:
            return
        self._write_copy()
        if length <= 0x40:
            self._made.append(length)
        else:
            code, number = _shortest(length)
            self._made += bytes([0x41 + code]) + number
        self._made += self._window[:length]
        del self._window[:length]
        self._position = 0

    def _write_copy(self) -> None:
        if self._copy is None:
            return
        start_code, start = _shortest(self._copy[0])
        length_code, length = _shortest(self._copy[1])
        self._made += bytes([0x45 + 4 * start_code + length_code]) + start + length
        self._copy = None


def _blocks_by_weak_sum(old: OldSignature) -> dict[int, list[int]]:
    blocks: defaultdict[int, list[int]] = defaultdict(list)
    for block in range(old.full_blocks):
        weak, strong = old.sums[block]
        others = blocks[weak]
        if len(others) < MOST_EQUAL and all(old.sums[other][1] != strong for other in others):
            others.append(block)
    return dict(blocks)


def _shortest(number: int) -> tuple[int, bytes]:
    """The code of the shortest of the four widths that holds a number, and the number in it."""
    code = next(code for code in range(4) if number < 1 << (8 << code))
    return code, number.to_bytes(1 << code, "big")
