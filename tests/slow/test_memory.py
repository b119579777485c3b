"""Memory does not grow with the number of files or their size: peaks of whole processes, for one size and for three.

The sizes are small enough for every run of the tests. For the figures of the documentation set
TWOFOLD_TEST_FILES=300000 and TWOFOLD_TEST_MEGABYTES=4096.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FILES = int(os.environ.get("TWOFOLD_TEST_FILES", "21000"))
MEGABYTES = int(os.environ.get("TWOFOLD_TEST_MEGABYTES", "150"))
FULL_SCALE = FILES > 100_000 or MEGABYTES > 1000
LIMIT_MEGABYTES = 150
# What may be added by three times as many files: noise of the allocator.
SLACK_MEGABYTES = 6
# A signature is 0.5 % of a file and passes through a few hands as a whole.
SLACK_A_MEGABYTE = 0.025

MEASURE = """
import sys
from twofold.__main__ import main
sys.argv[0] = "twofold"
try:
    code = main()
except SystemExit as end:
    code = end.code
with open("/proc/self/status") as status:
    peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
print("PEAK", peak)
raise SystemExit(code)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="peaks are read from /proc"),
]


class Measured:
    """One target and its archive directory; each command gives its peak in megabytes."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self._url = f"file://{folder / 'target'}"
        self._folder = folder
        self._restored = 0
        self.source.mkdir(parents=True)

    def run(self, *arguments: str) -> float:
        variables = {**os.environ, "XDG_CACHE_HOME": str(self._folder / "cache")}
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, "--no-encryption", *arguments],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
        return int(done.stdout.rpartition("PEAK")[2]) / 1024

    def back_up(self, kind: str) -> float:
        return self.run(kind, str(self.source), self._url)

    def read(self, *arguments: str) -> float:
        return self.run(*arguments, self._url)

    def verify(self) -> float:
        return self.run("verify", "--compare-data", self._url, str(self.source))

    def restore(self) -> float:
        self._restored += 1
        return self.run("restore", self._url, str(self._folder / f"restored-{self._restored}"))


def every_command(measured: Measured, change: Callable[[], None]) -> dict[str, float]:
    peaks = {"full": measured.back_up("full"), "no change": measured.back_up("inc")}
    change()
    peaks["small change"] = measured.back_up("inc")
    peaks["restore"] = measured.restore()
    if FULL_SCALE:  # they read as a restore does
        peaks["list"] = measured.read("list-current-files")
        peaks["verify"] = measured.verify()
    return peaks


def compare(small: dict[str, float], large: dict[str, float], slack: float) -> None:
    print({name: (round(small[name]), round(large[name])) for name in large})
    assert max(large.values()) < LIMIT_MEGABYTES, large
    grown = {name: (small[name], large[name]) for name in large if large[name] > small[name] + slack}
    assert not grown


def with_files(folder: Path, count: int, *, a_directory: int) -> dict[str, float]:
    measured = Measured(folder)
    for number in range(count):
        directory = measured.source / f"directory number {number // a_directory}"
        if number % a_directory == 0:
            directory.mkdir()
        with open(directory / f"a file with a long enough name {number}", "wb") as file:
            file.write(b"%d\n" % number)
    return every_command(measured, (measured.source / "new file").touch)


def test_three_times_as_many_files_take_no_more_memory(tmp_path: Path) -> None:
    small = with_files(tmp_path / "small", FILES // 3, a_directory=100)
    compare(small, with_files(tmp_path / "large", FILES, a_directory=100), SLACK_MEGABYTES)


def with_one_file(folder: Path, megabytes: int) -> dict[str, float]:
    measured = Measured(folder)
    pieces = [random.Random(number).randbytes((1 << 20) - 8) for number in range(16)]
    with open(measured.source / "file", "wb") as file:
        file.writelines(number.to_bytes(8, "big") + pieces[number % 16] for number in range(megabytes))

    def change() -> None:
        with open(measured.source / "file", "r+b") as file:
            file.seek(megabytes << 19)
            file.write(random.Random(99).randbytes(3 << 20))

    return every_command(measured, change)


def test_a_file_three_times_as_large_takes_little_more_memory(tmp_path: Path) -> None:
    small = with_one_file(tmp_path / "small", MEGABYTES // 3)
    slack = SLACK_MEGABYTES + MEGABYTES * SLACK_A_MEGABYTE
    compare(small, with_one_file(tmp_path / "large", MEGABYTES), slack)
