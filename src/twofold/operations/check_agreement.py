"""Compares what the volumes of a set hold with what its signature file and its manifest tell; each is read once.

Of a block signature only a hash is kept: it is made again of the content, when that is made, and compared then.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from twofold import rsync
from twofold.errors import CorruptSignature
from twofold.format import sigtar
from twofold.format.difftar import Action, DiffMember
from twofold.format.manifest import VolumeRecord
from twofold.format.sigtar import SigMember, read_members
from twofold.format.tar_reader import ByteSource, TarReader
from twofold.format.volume_reader import Run
from twofold.model.backup import FileRole, SetId
from twofold.model.entry import Entry
from twofold.model.relpath import order_key
from twofold.monitor import Monitor, Problem
from twofold.operations.check_metadata import Metadata
from twofold.operations.check_plan import Damage, set_text
from twofold.pipeline.replay import Feed, LostVolume, OpenVolume, SetReader
from twofold.pipeline.versions import Lost, Version
from twofold.repository.repository import Repository

_HEADER: Final = struct.Struct(">III")
_PIECE: Final = 1 << 20
_NOT_ITS_SIGNATURE: Final = "Its block signature is not that of its content: the next difference to it would be wrong"


# ---- block signatures ------------------------------------------------------------------------------------------------


class Signed(NamedTuple):
    """A block signature on record: how it was made, and the hash of all its bytes."""

    kind: int
    block_len: int
    strong_len: int
    digest: bytes


class Word(NamedTuple):
    """Which set said something of a path, and the block signature that it has for it, None if there is none."""

    set_id: SetId
    signed: Signed | None


def read_signed(source: ByteSource) -> Signed:
    """The data of a signature file's member, which may be no signature at all."""
    beginning = source.read(_HEADER.size)
    found = hashlib.blake2b(beginning, digest_size=32)
    while piece := source.read(_PIECE):
        found.update(piece)
    kind, block_len, strong_len = _HEADER.unpack(beginning.ljust(_HEADER.size, b"\0"))
    return Signed(kind, block_len, strong_len, found.digest())


def compared(signed: Signed, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Hands a content on. Raises CorruptSignature, at the latest after its end, where the signature is another's."""
    try:
        maker = rsync.SignatureBuilder(signed.kind, signed.block_len, signed.strong_len, with_hash=False)
    except (ValueError, OverflowError) as error:
        raise CorruptSignature("What is on record as its block signature is none") from error
    found = hashlib.blake2b(digest_size=32)
    for block in blocks:
        maker.update(block)
        found.update(maker.take())
        yield block
    maker.finish()
    found.update(maker.take())
    if found.digest() != signed.digest:
        raise CorruptSignature(_NOT_ITS_SIGNATURE)


def wrongly_signed(run: Run, words: Sequence[Word]) -> dict[int, str]:
    """Which files of a run, counted from 0, have a signature that is another one's, and what is wrong."""
    alike: dict[tuple[int, int], list[tuple[int, Signed]]] = {}
    for at, word in enumerate(words):
        if word.signed is not None:
            alike.setdefault((word.signed.kind, word.signed.strong_len), []).append((at, word.signed))
    wrong = {}
    for several in alike.values():
        for at, signed in several if not _are_right(run, several) else ():
            try:
                for _ in compared(signed, (run.content(at),)):
                    pass
            except CorruptSignature as error:
                wrong[at] = str(error)
    return wrong


def _are_right(run: Run, several: Sequence[tuple[int, Signed]]) -> bool:
    """Whether all of them are, asked at once, which takes little time."""
    sizes = [run.sizes[at] for at, _ in several]
    offsets = [run.offsets[at] for at, _ in several]
    kind, _, strong_len, _ = several[0][1]
    try:
        made, _ = rsync.sign_many(run.data, offsets, sizes, [each.block_len for _, each in several], kind, strong_len)
    except (ValueError, OverflowError):
        return False
    begin = 0
    for size, (_, signed) in zip(sizes, several, strict=True):
        end = begin + _HEADER.size - (-size // signed.block_len) * (4 + strong_len)
        if hashlib.blake2b(made[begin:end], digest_size=32).digest() != signed.digest:
            return False
        begin = end
    return True


# ---- what is on record of a set --------------------------------------------------------------------------------------


class SignedMember(NamedTuple):
    """An entry of a signature file; its data can be read until the next one is asked for."""

    member: SigMember
    source: ByteSource


def signed_members(repository: Repository, metadata: Metadata) -> Generator[SignedMember, None, None]:
    """What the signature file of a set tells, from the copy here if that has been found equal.

    A path that stands there twice comes once (COMPAT: duplicity <= 0.6: the root).
    """
    copy = metadata.copy
    if copy is None:
        opened = repository.open_file(metadata.backup_set.signatures[0])
    else:
        opened = repository.envelope_for(copy.meaning.wrapping).open(repository.archive_dir.path_of(copy.name))
    try:
        last: bytes | None = None
        reader = TarReader(opened)
        for member in read_members(reader):
            if member.path != last:
                yield SignedMember(member, reader)
            last = member.path
    finally:
        opened.close()


class Agreement:
    """Compares what the volumes of one set say, path by path, with its signature file and with its manifest.

    Of sets by duplicity only names and kinds are compared, since it may have resumed them with other metadata; a
    resumed volume may begin before its StartingPath (docs/format.md section 10.4). When something of the set could not
    be read, nothing more is compared. Without `members` only the manifest is.
    """

    def __init__(
        self, members: Generator[SignedMember, None, None] | None, monitor: Monitor, *, set_id: SetId, ours: bool
    ) -> None:
        self.set_id = set_id
        self.manifest_faults: list[str] = []
        self._members = members
        self._monitor = monitor
        self._ours = ours
        self._begun = False
        self._next: SignedMember | None = None
        self._met: SigMember | None = None
        self._broken = False
        self._previous_end: bytes | None = None

    def give_up(self) -> None:
        """Something of the set is lost, which has been told."""
        self._broken = True

    def meet(self, path: bytes, *, may_be_more: bool = False) -> Signed | None:
        """A volume holds this path next; gives the block signature for it. `may_be_more` excuses an unknown path."""
        if self._members is None:
            return None
        key = order_key(path)
        self._pass_over(key)
        self._met = None
        if self._broken:
            return None
        if self._next is None or order_key(self._next.member.path) > key:
            if not may_be_more:
                self._report(path, "it is in a volume, but not in the signatures of its backup")
            return None
        self._met, source = self._next
        signed = read_signed(source) if self._met.action is sigtar.Action.SIGNATURE else None
        self._advance()
        return signed

    def compare(self, path: bytes, entry: Entry, *, deleted: bool) -> None:
        """What the volume holds of the path that was met, all of it having been read."""
        met, self._met = self._met, None
        if met is None or self._broken:
            return
        if (met.action is sigtar.Action.DELETED) != deleted or not self._same(met.entry, entry, deleted):
            self._report(path, "the signatures of its backup tell something else of it than the volume")

    def begin_volume(self, record: VolumeRecord, path: bytes) -> None:
        """The first path that a volume holds."""
        key, first = order_key(path), order_key(record.first.path)
        if key != first and (self._previous_end is None or not self._previous_end <= key <= first):
            self._blame_manifest(record, "begins", record.first.path, path)

    def end_volume(self, record: VolumeRecord, key: bytes) -> None:
        """The order key of the last path that a volume holds."""
        self._previous_end = key
        if key != order_key(record.last.path):
            self._blame_manifest(record, "ends", record.last.path, key.replace(b"\0", b"/"))

    def finish(self) -> None:
        """The volumes have no more."""
        if self._members is not None:
            self._pass_over(None)

    def close(self) -> None:
        """Gives the signature file back."""
        if self._members is not None:
            self._members.close()

    def _same(self, known: Entry, entry: Entry, deleted: bool) -> bool:
        if deleted:
            return True
        if not self._ours:
            return known.kind is entry.kind
        first, second = known.content, entry.content
        if first is not None and second is not None and any(second.digest) and first != second:
            return False
        return known[:7] == entry[:7] and known.target == entry.target and known.device == entry.device

    def _pass_over(self, key: bytes | None) -> None:
        """Reports what the signatures have before `key`."""
        if not self._begun:
            self._begun = True
            self._advance()
        while not self._broken and self._next is not None and (key is None or order_key(self._next.member.path) < key):
            self._report(self._next.member.path, "the signatures of its backup tell of it, but no volume holds it")
            self._advance()

    def _advance(self) -> None:
        self._next = next(self._members, None) if self._members is not None else None

    def _report(self, path: bytes, reason: str) -> None:
        self._monitor.report(Problem(path, f"{reason} ({set_text(self.set_id)})", "restore"))

    def _blame_manifest(self, record: VolumeRecord, how: str, said: bytes, found: bytes) -> None:
        if not self._broken:
            names = [(path or b".").decode(errors="backslashreplace") for path in (found, said)]
            self.manifest_faults.append(f"volume {record.number} {how} with {names[0]}, and not with {names[1]}")


def manifest_damages(agreements: Iterable[tuple[Metadata, Agreement]]) -> Iterator[Damage]:
    """What the volumes have shown to be wrong in manifests."""
    for metadata, agreement in agreements:
        if agreement.manifest_faults:
            name = next((file.name for file in metadata.backup_set.manifests), "")
            reason = "; ".join(agreement.manifest_faults[:3])
            yield Damage(metadata.backup_set.id, FileRole.MANIFEST, name, reason, costs_files=False)


# ---- reading ---------------------------------------------------------------------------------------------------------


def overseen(agreement: Agreement, words: dict[bytes, list[Word]]) -> Callable[..., SetReader]:
    """Makes a reader that tells an agreement what it reads.

    In `words` stands for each path that was handed out, for a run under the first one of it, what each set has on
    record, in the order of its versions; whoever uses it takes it out.
    """
    return partial(Overseen, agreement=agreement, words=words)


class Overseen(SetReader):
    """Has read all of a path when it is done with it: only then is the content record of a large file known."""

    def __init__(
        self,
        feed: Feed,
        *,
        within: bytes,
        members_between: Callable[[bytes, bytes], Iterable[SigMember] | None],
        monitor: Monitor,
        agreement: Agreement,
        words: dict[bytes, list[Word]],
    ) -> None:
        self._agreement = agreement
        self._words = words
        self._taken: Version | None = None
        self._begun: OpenVolume | None = None
        super().__init__(
            _watched(feed, agreement),
            within=within,
            members_between=members_between,
            monitor=GivingUp(monitor, agreement),
        )

    def take(self) -> Version | Lost:
        first = self._starting_key()
        taken = super().take()
        self._taken = taken if isinstance(taken, Version) else None
        signed = None
        if self._taken is not None:
            signed = self._agreement.meet(taken.path, may_be_more=order_key(taken.path) < first)
        self._words.setdefault(taken.path, []).append(Word(self._agreement.set_id, signed))
        return taken

    def take_run(self, until: bytes | None) -> Run | None:
        first = self._starting_key()
        run = super().take_run(until)
        if run is not None:
            self._words[run.path(0)] = said = []
            for at, path in enumerate(run.paths):
                signed = self._agreement.meet(path, may_be_more=order_key(path) < first)
                self._agreement.compare(path, run.entry(at), deleted=False)
                said.append(Word(self._agreement.set_id, signed))
        return run

    def finish(self) -> None:
        super().finish()
        taken, self._taken = self._taken, None
        if taken is not None:
            self._agreement.compare(taken.path, taken.entry, deleted=taken.action is Action.DELETED)

    def _starting_key(self) -> bytes:
        """Paths before it may be in the open volume only because it was resumed."""
        return order_key(self._volume.record.first.path) if self._volume is not None else b""

    def _next_member(self) -> DiffMember | None:
        member = super()._next_member()
        if member is not None and self._volume is not None and self._volume is not self._begun:
            self._begun = self._volume
            self._agreement.begin_volume(self._volume.record, member.path)
        return member

    def _check_rest(self) -> None:
        super()._check_rest()
        if self._volume is not None and self._volume is self._begun and self._last_key is not None:
            self._agreement.end_volume(self._volume.record, self._last_key)


def _watched(feed: Feed, agreement: Agreement) -> Iterator[OpenVolume | LostVolume]:
    for volume in feed:
        if isinstance(volume, LostVolume):
            agreement.give_up()
        yield volume


class GivingUp:
    """Takes note when a reader has told of something that it could not read, and says of which set it is."""

    def __init__(self, monitor: Monitor, agreement: Agreement) -> None:
        self._monitor = monitor
        self._agreement = agreement

    def report(self, event: object) -> None:
        if isinstance(event, Problem):
            self._agreement.give_up()
            event = Problem(event.path, f"{event.reason} ({set_text(self._agreement.set_id)})", event.while_doing)
        self._monitor.report(event)
