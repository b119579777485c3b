"""Deterministic file contents for the data sets: source-like text and random bytes.

The same seed gives the same bytes on every machine: only `random.Random` is used, and a test holds the bytes, should a
Python draw otherwise. Nothing outside this package is read.
"""

from __future__ import annotations

import functools
import itertools
import random

PAGE = 4096

_SYLLABLE_LIST = """
    al an ar at be ca ce ck co con cu de der dis ed el en er ers es ex fi for ge gen ha he id in ing is it ker le li
    lo man me ment mi mo ne no nt of on or per ple po pre pro qu ra re ri ro se si st sub ta te ter th ti tion to tr
    un up ure val ver vi wa we x y
"""
_SYLLABLES = _SYLLABLE_LIST.split()
_SHAPES = (
    "{i}{w[0]} = {w[1]}.{w[2]}({w[3]}, {w[4]})",
    "{i}if {w[0]} and not {w[1]}.{w[2]}:",
    "{i}return {w[0]}({w[1]})",
    "{i}{w[0]}->{w[1]}[{w[2]}] = {w[3]} + {n};",
    "{i}for {w[0]} in {w[1]}:",
    '{i}{w[0]}.{w[1]}("{w[2]} {w[3]} {w[4]} %s", {w[5]});',
    "{i}# {w[0]} {w[1]} the {w[2]} of {w[3]} and {w[4]} {w[5]}",
    "{i}static int {w[0]}_{w[1]}(struct {w[2]} *{w[3]}, int {w[4]})",
    "{i}{w[0]}: {w[1]} = {n}",
    "",
    "{i}}}",
    "import {w[0]}.{w[1]}",
)
_WORDS_A_LINE = 6
_IDENTIFIERS = 6000
_POOL_LINES = 50_000
_WINDOW_LINES = (500, 20_000)
"""Fewest and most lines that one file is put together from: a real source file repeats itself, too."""


class SourceText:
    """Text that compresses about as source code does: identifiers by Zipf's law, lines that come again in a file."""

    def __init__(self, seed: int = 1, *, lines: int = _POOL_LINES) -> None:
        chance = random.Random(seed)
        names = ["".join(chance.choices(_SYLLABLES, k=chance.choice((1, 2, 2, 3, 3, 4)))) for _ in range(_IDENTIFIERS)]
        weights = list(itertools.accumulate(1 / (rank + 5) for rank in range(_IDENTIFIERS)))
        words = chance.choices(names, cum_weights=weights, k=_WORDS_A_LINE * lines)
        shapes = chance.choices(_SHAPES, k=lines)
        depths = chance.choices((0, 1, 1, 2, 2, 3), k=lines)
        self._lines = [
            shape.format(i="    " * depth, n=at % 1000, w=words[at * _WORDS_A_LINE : (at + 1) * _WORDS_A_LINE]) + "\n"
            for at, (shape, depth) in enumerate(zip(shapes, depths, strict=True))
        ]
        self._mean = sum(map(len, self._lines)) / len(self._lines)

    def text(self, size: int, *, seed: int) -> bytes:
        chance = random.Random(seed)
        fewest, most = _WINDOW_LINES
        width = min(max(int(size / self._mean / 2), fewest), most, len(self._lines))
        first = chance.randrange(len(self._lines) - width + 1)
        window = self._lines[first : first + width]
        made = ""
        while len(made) < size:
            count = int((size - len(made)) / self._mean * 1.1) + 4
            made += "".join(chance.choices(window, k=count))
        return made[:size].encode("ascii")


@functools.cache
def source_text() -> SourceText:
    """The one pool of lines that all data sets share; making it takes half a second."""
    return SourceText()


@functools.cache
def text_buffer() -> bytes:
    """4 MB of text to cut tiny files from, where a generator for each would take longer than writing them."""
    text = source_text()
    return b"".join(text.text(40_000, seed=number) for number in range(100))


def cut_text(size: int, *, seed: int) -> bytes:
    buffer = text_buffer()
    # A large odd factor spreads neighbouring seeds over the buffer.
    start = (seed * 2_654_435_761) % (len(buffer) - size)
    return buffer[start : start + size]


def random_bytes(size: int, *, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def mixed(size: int, *, seed: int) -> bytes:
    """A document: text with compressed pictures between, three parts in ten incompressible."""
    pictures = size * 3 // 10
    text = source_text().text(size - pictures, seed=seed)
    middle = len(text) // 2
    return text[:middle] + random_bytes(pictures, seed=seed) + text[middle:]


def edited(content: bytes, *, seed: int) -> bytes:
    """One to three places rewritten or inserted into, as an editor leaves it; never equal to what it was."""
    chance = random.Random(seed)
    new = bytearray(content)
    for number in range(chance.randrange(1, 4)):
        place = chance.randrange(len(new) + 1)
        words = f" edit{seed}_{number} {chance.getrandbits(48):x} ".encode()
        new[place : place + chance.choice((0, len(words)))] = words
    return bytes(new)
