"""What the compiled kernel does for the format. Importing this raises ImportError where it is not usable."""

from __future__ import annotations

from twofold import _native
from twofold._native import usual_members, write_headers
from twofold._version import check_kernel

check_kernel(_native.KERNEL_VERSION)

__all__ = ["usual_members", "write_headers"]
