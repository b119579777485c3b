"""Looks for inputs that break a promise, guided by which code they reach, and keeps those that reach more.

    python -m tests.fuzz [--seconds 600] [--jobs 1] [target ...]

Each target runs in a process of its own, for libFuzzer ends it. What breaks a promise is left in `.build/fuzz`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.programs import REPOSITORY_ROOT

WORK = REPOSITORY_ROOT / ".build" / "fuzz"
FIGURES = Path(__file__).parent / "executions.json"
INSTRUMENTED = ["twofold.format", "twofold.rsync", "twofold.envelope", "twofold.model"]
SLOWEST, MOST_MEMORY = 5, 800
"""An input that takes more seconds or megabytes counts as a crash."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=600, help="of each target")
    parser.add_argument("--jobs", type=int, default=1, help="targets at once")
    parser.add_argument("--kernel-seeds", type=Path, metavar="FOLDER", help="write inputs for native/src/fuzzing.rs")
    parser.add_argument("--child", metavar="TARGET", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*")
    arguments, options = parser.parse_known_args()
    if arguments.child:
        fuzz(arguments.child, [*options, *arguments.targets])
    if arguments.kernel_seeds:
        write_kernel_seeds(arguments.kernel_seeds)
        return 0
    from tests.fuzz.corpus import TARGETS

    names = arguments.targets or list(TARGETS)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        sound = pool.map(lambda name: run(name, arguments.seconds), names)
        broken = [name for name, well in zip(names, sound, strict=True) if not well]
    if broken:
        print(f"Promises are broken by inputs for {', '.join(broken)}: see {WORK}", file=sys.stderr)
    return 1 if broken else 0


def fuzz(name: str, options: list[str]) -> None:
    """Never returns: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz.corpus import TARGETS

    again = WORK / f"{name}.sh"  # libFuzzer starts itself again where it minimises
    again.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tests.fuzz --child {name} "$@"\n')
    again.chmod(0o700)
    atheris.Setup([str(again), *options], TARGETS[name].check)
    atheris.Fuzz()


def run(name: str, seconds: int) -> bool:
    """Fuzzes one target, keeps what was found, and says whether all promises were kept."""
    from tests.fuzz.corpus import TARGETS, inputs, keep

    target, folder = TARGETS[name], WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    for each in inputs(name):
        (folder / hashlib.sha256(each).hexdigest()[:16]).write_bytes(each)
    (WORK / f"{name}.words").write_text(
        "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in target.words)
    )
    began = time.monotonic()
    child = libfuzzer(
        name,
        f"-max_total_time={seconds}",
        f"-dict={WORK / name}.words",
        f"-artifact_prefix={WORK / name}-broken-",
        str(folder),
    )
    executed = re.search(r"stat::number_of_executed_units: (\d+)", child.stderr)
    taken = round(time.monotonic() - began)
    if child.returncode or executed is None:
        print(child.stderr[-6000:], file=sys.stderr)
        return False
    kept = keep(name, minimised(name, folder))
    print(f"{name}: {int(executed[1]):,} executions in {taken} s, {kept} inputs kept", flush=True)
    note(name, int(executed[1]), taken)
    return True


def libfuzzer(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    target_options = ("-print_final_stats=1", f"-timeout={SLOWEST}", f"-rss_limit_mb={MOST_MEMORY}", "-verbosity=1")
    length = f"-max_len={_target_length(name)}"
    words = [sys.executable, "-m", "tests.fuzz", "--child", name, *target_options, length, *options]
    return subprocess.run(words, cwd=REPOSITORY_ROOT, capture_output=True, text=True, errors="replace", check=False)


def _target_length(name: str) -> int:
    from tests.fuzz.corpus import TARGETS

    return TARGETS[name].largest


def minimised(name: str, folder: Path) -> list[bytes]:
    """As few inputs as reach the same code."""
    kept = WORK / f"{name}-kept"
    kept.mkdir(exist_ok=True)
    for path in kept.iterdir():
        path.unlink()
    merged = libfuzzer(name, "-merge=1", str(kept), str(folder))
    if merged.returncode or not any(kept.iterdir()):
        raise SystemExit(f"The corpus of {name} could not be minimised:\n{merged.stderr[-3000:]}")
    return [path.read_bytes() for path in kept.iterdir()]


def write_kernel_seeds(folder: Path) -> None:
    """What is kept for the same code as Python calls it, behind the byte that chooses what it is for."""
    from tests.fuzz.corpus import inputs

    folder.mkdir(parents=True, exist_ok=True)
    for choice, name in enumerate(("delta", "signature", "edits", "composition", "volume")):
        for each in inputs(name):
            data = bytes((choice,)) + (b"\x01" if name == "volume" else b"") + each
            (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def note(name: str, executions: int, seconds: int) -> None:
    """The figures of the last run of each target stand beside the corpus."""
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    known[name] = {"executions": executions, "seconds": seconds, "date": time.strftime("%Y-%m-%d", time.gmtime())}
    FIGURES.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
