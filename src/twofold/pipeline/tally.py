"""What a backup counts: the figures of duplicity's statistics block."""

from __future__ import annotations

from twofold.model.value import record


@record
class Tally:
    """Counts entries and bytes while the packing stage works; sizes in bytes."""

    source_files: int = 0
    source_bytes: int = 0
    new_files: int = 0
    new_bytes: int = 0
    deleted: int = 0
    changed_files: int = 0
    changed_bytes: int = 0
    raw_delta: int = 0
    errors: int = 0

    @property
    def stored(self) -> int:
        """Entries that stand in this backup."""
        return self.new_files + self.changed_files + self.deleted

    def new(self, size: int, *, files: int = 1) -> None:
        """An entry was stored whole, or so many of that size together."""
        self.source_files += files
        self.source_bytes += size
        self.new_files += files
        self.new_bytes += size

    def changed(self, size: int) -> None:
        """A regular file was stored as a difference."""
        self.source_files += 1
        self.source_bytes += size
        self.changed_files += 1
        self.changed_bytes += size

    def same(self, entries: int, size: int) -> None:
        """So many entries are unchanged."""
        self.source_files += entries
        self.source_bytes += size
