"""The one place where versions are written down: the program's, and that of its compiled kernel."""

VERSION = "0.1.0"

KERNEL_VERSION = 4
"""Raised with every change of the kernel's behaviour: one of another version is not used."""


def check_kernel(found: int) -> None:
    """Raises ImportError for a kernel of another version."""
    if found != KERNEL_VERSION:
        raise ImportError(f"The compiled kernel has version {found} instead of {KERNEL_VERSION}")
