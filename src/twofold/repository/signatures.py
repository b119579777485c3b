"""Opens the signature files of a chain, wherever its copies lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twofold.collection.chains import SignatureFile
from twofold.envelope.protocol import Opened
from twofold.repository.repository import Repository


def signature_openers(
    repository: Repository, files: Sequence[SignatureFile], *, local: bool
) -> list[Callable[[], Opened]]:
    """What opens each of the files, in their order; `local` says that they are those of the archive directory."""

    def opener(signatures: SignatureFile) -> Callable[[], Opened]:
        file = signatures.candidates[0]
        if not local:
            return lambda: repository.open_file(file)
        envelope = repository.envelope_for(file.meaning.wrapping)
        return lambda: envelope.open(repository.archive_dir.path_of(file.name))

    return [opener(each) for each in files]
