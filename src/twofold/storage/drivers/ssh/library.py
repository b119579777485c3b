"""The library asyncssh, loaded without starting programs.

While it loads it looks for liboqs and nettle, which it can do without: what it negotiates then is in `cryptography`.
Python looks with a C compiler and ldconfig, which would inherit our environment and with it BACKEND_PASSWORD.
"""

from __future__ import annotations

import ctypes.util
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["asyncssh"]


@contextmanager
def _finding_nothing() -> Iterator[None]:
    finding = ctypes.util.find_library
    ctypes.util.find_library = lambda name: None
    try:
        yield
    finally:
        ctypes.util.find_library = finding


with _finding_nothing():
    import asyncssh
