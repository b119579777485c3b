"""Numbers and names as people read them."""

from __future__ import annotations

import os

_UNITS = ("KB", "MB", "GB", "TB")


def format_size(size: int) -> str:
    """A number of bytes with three significant digits, in steps of 1024 (docs/cli.md section 7.6)."""
    if abs(size) < 1024:
        return f"{size} byte" if size == 1 else f"{size} bytes"
    amount = float(size)
    for unit in _UNITS:
        amount /= 1024
        if abs(amount) < 1024 or unit == _UNITS[-1]:
            decimals = 2 if abs(amount) < 10 else 1 if abs(amount) < 100 else 0
            return f"{amount:.{decimals}f} {unit}"
    raise AssertionError


def path_text(path: bytes) -> str:
    """A path inside a backup; the root is a dot. Undecodable bytes become surrogates, which sinks give back."""
    return os.fsdecode(path) if path else "."
