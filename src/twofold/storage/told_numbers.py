"""Numbers as servers tell them: nothing that a hostile or broken one writes is more than a wrong number."""

from __future__ import annotations

_MOST_DIGITS = 19


def told_number(text: str) -> int | None:
    """The number, or None for what is none: signs, letters, digits of other scripts, more bytes than there are."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None
