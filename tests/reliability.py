"""Runs the tests that try to break backups, more of them than `make test` does, and writes docs/reliability.md.

    python -m tests.reliability [--share 1.0]

The sums are counted by the tests themselves (tests/support/tally.py); a test that fails ends this without a page.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from tests.support.programs import REPOSITORY_ROOT
from tests.support.tally import Tried, read_tallies

ROOT = REPOSITORY_ROOT
PAGE = ROOT / "docs" / "reliability.md"
FUZZED = ROOT / "tests" / "fuzz" / "executions.json"
FIGURES = ROOT / "docs" / "reliability.json"
SEQUENCES, TURNS = 2000, 60
TESTS = ("tests/properties", "tests/compat", "tests/damage", "tests/unit/operations", "tests/cli", "tests/fuzz")

TEXT = """\
# What was tried to lose a backup

Made by `make reliability` (`tests/reliability.py`). The figures are counted by the tests while they run.

{tried}
**Losses: {losses}.** A loss is a backup that was complete and does not come back as the tree was, a damage that is not
named, or an archive that does what it must not. One of them fails the test that finds it, and then this page is not
written.

Last run: {date}, twofold {version}, {seconds} s on {processors} processors:
`{command}`

## Try it yourself

`make test` runs a slice of each. More of them:

* `TWOFOLD_TEST_SEQUENCES=5000 .venv/bin/python -m pytest tests/properties/test_model.py`: a target, an archive
  directory and a tree beside a model that only remembers; power cuts at any call of the store, errors, lost and
  damaged caches, retention. A sequence that fails is printed as the program of its steps, with the line that plays it
  again.
* `TWOFOLD_TEST_TURNS=500 .venv/bin/python -m pytest tests/compat/test_model_in_turns.py`: the same by the command line,
  with duplicity taking turns and real kills; `-k seed17-` plays one again.
* `make reliability` writes this page.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the sequences; the page says what was run")
    share = parser.parse_args().share
    sequences, turns = max(1, round(SEQUENCES * share)), max(1, round(TURNS * share))
    folder = tempfile.mkdtemp(prefix="twofold-tally-")
    began = time.time()
    variables = {"TWOFOLD_TEST_SEQUENCES": str(sequences), "TWOFOLD_TEST_TURNS": str(turns)}
    words = [
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "--dist",
        "worksteal",
        *(name for name in TESTS if (ROOT / name).exists()),
    ]
    try:
        environment = {**os.environ, **variables, "TWOFOLD_TEST_TALLY": folder}
        code = subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, check=False).returncode
        if code:
            print("A test failed: the page is left as it was", file=sys.stderr)
            return code
        figures = {
            "date": time.strftime("%Y-%m-%d", time.gmtime(began)),
            "version": _version(),
            "command": " ".join([*(f"{name}={number}" for name, number in variables.items()), "make reliability"]),
            "seconds": round(time.time() - began),
            "processors": os.cpu_count(),
            "losses": 0,
            "tried": read_tallies(folder),
            "fuzzed": sum(each["executions"] for each in json.loads(FUZZED.read_text()).values()),
        }
    finally:
        shutil.rmtree(folder)
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    PAGE.write_text(page(figures))
    print(f"Written: {PAGE.relative_to(ROOT)}")
    return 0


def page(figures: dict[str, object]) -> str:
    """The page of these figures."""
    counted = figures["tried"]
    assert isinstance(counted, dict)
    lines = ["| tried | how often |", "|---|---:|"]
    lines += [f"| {each.value} | {counted[each.name]:,} |" for each in Tried if counted.get(each.name)]
    lines.append(f"| inputs made by coverage-guided fuzzing (`make fuzz`, last runs) | {figures['fuzzed']:,} |")
    return TEXT.format(**{**figures, "tried": "\n".join(lines) + "\n"})


def _version() -> str:
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return described.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
