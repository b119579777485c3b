"""Hands over to ui.cli, unless only the version is asked for: that answers without loading the program."""

from __future__ import annotations

import sys


def main() -> int:
    """The console script; gives the exit code."""
    from twofold.ui.version import asks_only_for_version, program_name, version_line

    if asks_only_for_version(sys.argv[1:]):
        sys.stdout.write(version_line(program_name(sys.argv[0])) + "\n")
        return 0
    from twofold.ui.cli import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
