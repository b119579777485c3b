"""Names of stored files: taking them apart and making them (docs/format.md section 2).

Only whole names are recognised: a name with anything unknown behind a recognised form (`.tmp`, `.par2`, `.sig`, `~`)
is somebody else's file, and so are volume 0 and partial volumes. Prefixes are compared literally.
"""

from __future__ import annotations

import re

from twofold.model.backup import FileRole, SetId, SetKind, StoredName, Wrapping
from twofold.model.times import format_compact, parse_compact, parse_w3

_WRAPPINGS = {
    "": Wrapping.PLAIN,
    ".gz": Wrapping.GZIP,
    ".z": Wrapping.GZIP,
    ".gpg": Wrapping.GPG,
    ".g": Wrapping.GPG,
    ".p7m": Wrapping.GPGSM,
}
_TIME = r"(?P<end>.{1,40}?)"
_TIMES = r"(?P<start>.{1,40}?)\.to\.(?P<end>.{1,40}?)"
_VOLUME = r"vol(?P<volume>[0-9]{1,9})\.difftar"
_TAIL = r"(?P<wrapping>|\.gz|\.z|\.gpg|\.g|\.p7m)"
_PART = r"(?P<partial>\.part)?"

# The years 1901 to 2099, which are all that a name proper can tell; zones and eight digits of base 36 reach further.
_EARLIEST_INSTANT, _LATEST_INSTANT = -2177452800, 4102444799
_LARGEST_VOLUME = 999_999_999

# COMPAT: duplicity <= 0.8: short names, numbers in base 36 (section 2.4); never written.
_SHORT_TIME = r"(?P<end>[0-9a-z]{1,8})"
_SHORT_TIMES = r"(?P<start>[0-9a-z]{1,8})\.(?P<end>[0-9a-z]{1,8})"
_SHORT_VOLUME = r"(?P<volume>[0-9a-z]{1,7})\.dt"
_SHORT_PART = r"(?P<partial>\.p(?:art)?)?"

_LONG_FORMS: tuple[tuple[FileRole, str], ...] = (
    (FileRole.VOLUME, rf"duplicity-full\.{_TIME}\.{_VOLUME}{_TAIL}"),
    (FileRole.VOLUME, rf"duplicity-inc\.{_TIMES}\.{_VOLUME}{_TAIL}"),
    (FileRole.MANIFEST, rf"duplicity-full\.{_TIME}\.manifest{_PART}{_TAIL}"),
    (FileRole.MANIFEST, rf"duplicity-inc\.{_TIMES}\.manifest{_PART}{_TAIL}"),
    (FileRole.SIGNATURES, rf"duplicity-full-signatures\.{_TIME}\.sigtar{_PART}{_TAIL}"),
    (FileRole.SIGNATURES, rf"duplicity-new-signatures\.{_TIMES}\.sigtar{_PART}{_TAIL}"),
    (FileRole.STATISTICS, rf"duplicity-full\.{_TIME}\.jsonstat{_TAIL}"),
    (FileRole.STATISTICS, rf"duplicity-inc\.{_TIMES}\.jsonstat{_TAIL}"),
)
_SHORT_FORMS: tuple[tuple[FileRole, str], ...] = (
    (FileRole.VOLUME, rf"df\.{_SHORT_TIME}\.{_SHORT_VOLUME}{_TAIL}"),
    (FileRole.VOLUME, rf"di\.{_SHORT_TIMES}\.{_SHORT_VOLUME}{_TAIL}"),
    (FileRole.MANIFEST, rf"df\.{_SHORT_TIME}\.m{_SHORT_PART}{_TAIL}"),
    (FileRole.MANIFEST, rf"di\.{_SHORT_TIMES}\.m{_SHORT_PART}{_TAIL}"),
    (FileRole.SIGNATURES, rf"dfs\.{_SHORT_TIME}\.st{_SHORT_PART}{_TAIL}"),
    (FileRole.SIGNATURES, rf"dns\.{_SHORT_TIMES}\.st{_SHORT_PART}{_TAIL}"),
)

_STEMS: dict[tuple[FileRole, SetKind], str] = {
    (FileRole.VOLUME, SetKind.FULL): "duplicity-full",
    (FileRole.VOLUME, SetKind.INCREMENTAL): "duplicity-inc",
    (FileRole.MANIFEST, SetKind.FULL): "duplicity-full",
    (FileRole.MANIFEST, SetKind.INCREMENTAL): "duplicity-inc",
    (FileRole.SIGNATURES, SetKind.FULL): "duplicity-full-signatures",
    (FileRole.SIGNATURES, SetKind.INCREMENTAL): "duplicity-new-signatures",
    (FileRole.STATISTICS, SetKind.FULL): "duplicity-full",
    (FileRole.STATISTICS, SetKind.INCREMENTAL): "duplicity-inc",
}
_ENDINGS = {FileRole.MANIFEST: "manifest", FileRole.SIGNATURES: "sigtar", FileRole.STATISTICS: "jsonstat"}
_CAN_BE_PARTIAL = (FileRole.MANIFEST, FileRole.SIGNATURES)


class _Form:
    """One form of name with its compiled pattern; compiled at first use, since most runs meet few of them."""

    __slots__ = ("_compiled", "_pattern", "role", "short")

    def __init__(self, role: FileRole, pattern: str, *, short: bool) -> None:
        self.role = role
        self.short = short
        self._pattern = pattern
        self._compiled: re.Pattern[str] | None = None

    def match(self, name: str) -> re.Match[str] | None:
        if self._compiled is None:
            self._compiled = re.compile(self._pattern)
        return self._compiled.fullmatch(name)


# What stands before the first dot decides which forms are tried at all.
_FORMS: dict[str, list[_Form]] = {}
for _role, _text in _LONG_FORMS:
    _FORMS.setdefault(_text.split("\\.", 1)[0], []).append(_Form(_role, _text, short=False))
for _role, _text in _SHORT_FORMS:
    _FORMS.setdefault(_text.split("\\.", 1)[0], []).append(_Form(_role, _text, short=True))


class NameCodec:
    """Turns names into `StoredName` and back, for one choice of prefixes.

    The written name is `prefix` + the prefix of its role + the name proper. `time_separator` is what stands for the
    colon in names of old archives.
    """

    def __init__(
        self,
        prefix: str = "",
        *,
        manifest_prefix: str = "",
        archive_prefix: str = "",
        signature_prefix: str = "",
        statistics_prefix: str = "",
        time_separator: str = ":",
    ) -> None:
        self._prefixes = {
            FileRole.VOLUME: prefix + archive_prefix,
            FileRole.MANIFEST: prefix + manifest_prefix,
            FileRole.SIGNATURES: prefix + signature_prefix,
            FileRole.STATISTICS: prefix + statistics_prefix,
        }
        self._distinct_prefixes = tuple(dict.fromkeys(self._prefixes.values()))
        # Both common separators are always understood: no time string means something else with the other one.
        self._separators = tuple(dict.fromkeys((time_separator, ":", "_")))

    def parse(self, name: str) -> StoredName | None:
        """What `name` stands for, or None if it is not the name of a backup's file under these prefixes."""
        for prefix in self._distinct_prefixes:
            if name.startswith(prefix):
                bare = name[len(prefix) :]
                for form in _FORMS.get(bare.split(".", 1)[0], ()):
                    if self._prefixes[form.role] == prefix and (match := form.match(bare)) is not None:
                        return self._interpret(form, match)
        return None

    def format(self, stored: StoredName) -> str:
        """The name that `stored` is written under, always in the new style (section 2.1).

        ValueError for a combination that has no name: a volume without number, a number without volume, a partial
        volume.
        """
        role = stored.role
        numbered = stored.volume is not None and stored.volume > 0
        if numbered != (role is FileRole.VOLUME) or (stored.volume is not None and not numbered):
            raise ValueError(f"No name for {stored}: volumes and nothing else have a number from 1")
        if stored.partial and role not in _CAN_BE_PARTIAL:
            raise ValueError(f"No name for {stored}: only manifests and signature files can be partial")
        set_id = stored.set_id
        times = format_compact(set_id.end)
        if set_id.start is not None:
            times = f"{format_compact(set_id.start)}.to.{times}"
        ending = f"vol{stored.volume}.difftar" if role is FileRole.VOLUME else _ENDINGS[role]
        partial = ".part" if stored.partial else ""
        stem = _STEMS[role, set_id.kind]
        return f"{self._prefixes[role]}{stem}.{times}.{ending}{partial}{stored.wrapping.value}"

    def _interpret(self, form: _Form, match: re.Match[str]) -> StoredName | None:
        parts = match.groupdict()
        end = self._instant(form, parts["end"])
        if end is None:
            return None
        start: int | None = None
        if "start" in parts:
            start = self._instant(form, parts["start"])
            if start is None:
                return None
        volume: int | None = None
        if "volume" in parts:
            volume = int(parts["volume"], 36 if form.short else 10)
            if not 0 < volume <= _LARGEST_VOLUME:
                return None
        wrapping = _WRAPPINGS[parts["wrapping"]]
        partial = parts.get("partial") is not None
        return StoredName(SetId(end, start), form.role, wrapping, volume, partial)

    def _instant(self, form: _Form, text: str) -> int | None:
        if form.short:
            found: int | None = int(text, 36)
        else:
            text = text.upper()
            found = parse_compact(text)
            for separator in self._separators:
                if found is None:
                    found = parse_w3(text, separator=separator)  # COMPAT: duplicity <= 0.8
        return found if found is not None and _EARLIEST_INSTANT <= found <= _LATEST_INSTANT else None
