"""The ratios as a picture: an SVG of dots on a logarithmic axis, written by hand so that nothing has to be installed.

The same results give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from bench.data_sets import Operation
from bench.installed import BORG, BORG_ZSTD, DUPLICITY, OURS, RESTIC, TAR
from bench.results import Results, Spread, seconds
from bench.tables import Row
from bench.targets import Target, target

_COLOURS = {DUPLICITY: "#c0392b", RESTIC: "#1f6fb2", BORG: "#d98e04", BORG_ZSTD: "#8a6d3b", TAR: "#7f8c8d"}
_LABELS, _WIDTH, _RIGHT = 210, 620, 30
_LINE, _TOP, _BOTTOM = 22, 64, 40
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


class Dot(NamedTuple):
    """One ratio of a row."""

    program: str
    ratio: Spread
    wanted: Target | None


class Line(NamedTuple):
    label: str
    dots: tuple[Dot, ...]


def lines_of(results: Results, rows: Sequence[Row], programs: Sequence[str]) -> list[Line]:
    """One line for each row that any peer has been measured in."""
    made = [
        Line(f"{data_set}: {operation}", _dots(results, data_set, operation, programs)) for data_set, operation in rows
    ]
    return [line for line in made if line.dots]


def _dots(results: Results, data_set: str, operation: Operation, programs: Sequence[str]) -> tuple[Dot, ...]:
    found = (
        (program, results.ratio(data_set, operation, ours=OURS, theirs=program, value=seconds))
        for program in programs
        if program in _COLOURS
    )
    return tuple(Dot(program, ratio, target(data_set, operation, program)) for program, ratio in found if ratio)


class _Axis:
    """From ratios to places, the axis wide enough for all of them and for 1."""

    def __init__(self, values: Sequence[float]) -> None:
        self._low = math.log(min(0.8, *values) * 0.9)
        self._high = math.log(max(2.0, *values) * 1.1)

    def at(self, ratio: float) -> float:
        part = (math.log(ratio) - self._low) / (self._high - self._low)
        return round(_LABELS + part * _WIDTH, 1)

    def ticks(self) -> list[float]:
        return [tick for tick in _TICKS if self._low <= math.log(tick) <= self._high]


def svg(lines: Sequence[Line], *, title: str) -> str:
    """A dot for each peer in each line, a bar from the least to the most of the rounds, an upright for the target."""
    dots = [dot for line in lines for dot in line.dots]
    if not dots:
        return ""
    values = [edge for dot in dots for edge in (dot.ratio.least, dot.ratio.most)]
    axis = _Axis([*values, *(dot.wanted.must for dot in dots if dot.wanted)])
    bottom = _TOP + len(lines) * _LINE
    width, height = _LABELS + _WIDTH + _RIGHT, bottom + _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        '<g font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LABELS}" y="18" font-weight="bold">{escape(title)}</text>',
        *_legend([program for program in _COLOURS if any(dot.program == program for dot in dots)]),
        *(_stripe(_TOP + at * _LINE) for at in range(0, len(lines), 2)),
        *(part for tick in axis.ticks() for part in _tick(axis, tick, bottom)),
        *(part for at, line in enumerate(lines) for part in _line(axis, line, _TOP + at * _LINE + _LINE / 2)),
        "</g></svg>",
    ]
    return "\n".join(parts) + "\n"


def _legend(programs: Sequence[str]) -> list[str]:
    parts = []
    for at, program in enumerate(programs):
        x = _LABELS + at * 100
        parts.append(f'<circle cx="{x + 5}" cy="36" r="5" fill="{_COLOURS[program]}"/>')
        parts.append(f'<text x="{x + 15}" y="40">{escape(program)}</text>')
    parts.append(f'<text x="{_LABELS + len(programs) * 100}" y="40" fill="#555">| at least wanted</text>')
    return parts


def _stripe(y: float) -> str:
    return f'<rect y="{y}" width="100%" height="{_LINE}" fill="#f5f5f5"/>'


def _tick(axis: _Axis, tick: float, bottom: float) -> list[str]:
    x = axis.at(tick)
    colour, width = ("#333", 1.5) if tick == 1 else ("#ddd", 1)
    return [
        f'<line x1="{x}" y1="{_TOP}" x2="{x}" y2="{bottom}" stroke="{colour}" stroke-width="{width}"/>',
        f'<text x="{x}" y="{bottom + 18}" text-anchor="middle" fill="#333">{tick:g}</text>',
    ]


def _line(axis: _Axis, line: Line, y: float) -> list[str]:
    parts = [f'<text x="{_LABELS - 10}" y="{y + 4}" text-anchor="end">{escape(line.label)}</text>']
    for dot in line.dots:
        colour = _COLOURS[dot.program]
        if dot.wanted is not None:
            x = axis.at(dot.wanted.must)
            parts.append(f'<line x1="{x}" y1="{y - 8}" x2="{x}" y2="{y + 8}" stroke="{colour}" stroke-width="2"/>')
        left, right = axis.at(dot.ratio.least), axis.at(dot.ratio.most)
        parts.append(f'<line x1="{left}" y1="{y}" x2="{right}" y2="{y}" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<circle cx="{axis.at(dot.ratio.median)}" cy="{y}" r="5" fill="{colour}" fill-opacity="0.85"/>')
    return parts
