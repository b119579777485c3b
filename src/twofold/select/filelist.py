"""Files that hold patterns or paths, one a line or one a NUL (docs/cli.md section 6.6)."""

from __future__ import annotations

from twofold.select.conditions import Condition, Exclude, FilesFrom, Include
from twofold.select.errors import AbsolutePathListed, NothingListed, SelectionError


def read_filelist(content: bytes, *, default: type[Include | Exclude], null_separator: bool) -> list[Condition]:
    """The conditions in a list of patterns; `default` is for lines that do not begin with `+ ` or `- `."""
    conditions: list[Condition] = []
    for line in content.decode("utf-8", "surrogateescape").split("\0" if null_separator else "\n"):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        action, pattern = default, line
        if line.startswith(("+ ", "- ")):
            action, pattern = Include if line[0] == "+" else Exclude, line[2:]
        pattern = _unquoted(pattern)
        if pattern:
            conditions.append(action(pattern))
    return conditions


def read_files_from(listed: FilesFrom, *, null_separator: bool) -> dict[bytes, tuple[bytes, ...]]:
    """For each directory below the root that is to be looked into, the names to look at, sorted; the root is `b""`.

    Raises AbsolutePathListed, NothingListed, and SelectionError for a path that leads outside. Components `.` are
    dropped; duplicity stores them, under names that a careful reader refuses (docs/format.md section 12).
    """
    names: dict[bytes, set[bytes]] = {}
    for path in listed.content.split(b"\0" if null_separator else b"\n"):
        if path.startswith(b"/"):
            raise AbsolutePathListed(
                f"Files-from list contains the absolute path: {_shown(path)}. Give paths relative to the source"
            )
        components = [component for component in path.split(b"/") if component not in (b"", b".")]
        if b".." in components:
            raise SelectionError(
                f"Files-from list contains the path {_shown(path)}, which leads outside: leave out '..'"
            )
        for position, component in enumerate(components):
            names.setdefault(b"/".join(components[:position]), set()).add(component)
    if not names:
        raise NothingListed(
            f"Files-from list {listed.name} contains no files, so that nothing would be backed up. "
            "List at least one path"
        )
    return {directory: tuple(sorted(children)) for directory, children in names.items()}


def _unquoted(text: str) -> str:
    return text[1:-1] if text[0] == text[-1] and text[0] in "'\"" else text


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
