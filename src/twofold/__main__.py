"""Hands over to ui.cli, unless only the version is asked for: that answers without loading the program."""

from __future__ import annotations

import sys


def main() -> int:
    """The console script; gives the exit code."""
    try:
        return _main()
    except KeyboardInterrupt:  # while the program is still being loaded; later ui.cli sees to it
        if sys.stderr is not None:
            sys.stderr.write("Interrupted\n")
        return 4


def _main() -> int:
    from twofold.ui.version import asks_only_for_version, program_name, version_line

    if asks_only_for_version(sys.argv[1:]):
        sys.stdout.write(version_line(program_name(sys.argv[0])) + "\n")
        return 0
    import gc

    # Few reference cycles are made, but millions of values: looking for cycles would cost a tenth of the time, of
    # loading the program as well; and at the end all goes with the process.
    gc.set_threshold(100_000, 50, 1000)
    from twofold.ui.cli import run

    try:
        return run()
    finally:
        gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
