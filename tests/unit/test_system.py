"""What the operating system is asked for beside files."""

from __future__ import annotations

import platform
import resource

import pytest

from twofold import system

LARGE = 1 << 20


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's limits follow what is freed")
def test_large_blocks_that_come_and_go_are_asked_of_the_system_once() -> None:
    system.keep_freed_memory()
    faults = []
    for _ in range(20):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        blocks = [b"x" * LARGE for _ in range(3)]
        del blocks
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    assert sum(faults[1:]) < 3 * LARGE // 4096, "as much as for a single round"
