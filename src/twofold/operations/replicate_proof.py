"""Whether a file without a hash on record is whole: it is opened and read to its end."""

from __future__ import annotations

import os
from typing import Final

from twofold.collection.sets import FoundFile
from twofold.errors import EnvelopeError, FormatError, KeyMissing, UserError, WrongSigner
from twofold.format.sigtar import read_members
from twofold.format.tar_reader import TarReader
from twofold.model.backup import FileRole, Wrapping
from twofold.repository.repository import Repository

_PIECE: Final = 1 << 20
_END_OF_TAR: Final = bytes(1024)


def is_whole(repository: Repository, file: FoundFile, path: str) -> bool | None:
    """Of signatures or statistics whose stored bytes are at `path`; None where nobody can tell, as without a key.

    Raises WrongSigner.
    """
    is_tar = file.meaning.role is FileRole.SIGNATURES
    is_bare = file.meaning.wrapping is Wrapping.PLAIN
    # Nothing around bare bytes tells their end: of a tar its last blocks do, of anything else nothing.
    if is_bare and not is_tar:
        return None
    try:
        if is_bare and not _ends_as_tar(path):
            return False
        _read(repository, file, path, is_tar=is_tar)
    except WrongSigner:
        raise
    except (KeyMissing, UserError, PermissionError):
        return None
    except EnvelopeError as error:
        return None if isinstance(error.__cause__, OSError) else False  # there is no gpg here
    except FormatError:
        return False
    return True


def _ends_as_tar(path: str) -> bool:
    with open(path, "rb") as stored:
        stored.seek(-min(len(_END_OF_TAR), os.path.getsize(path)), os.SEEK_END)
        return stored.read() == _END_OF_TAR


def _read(repository: Repository, file: FoundFile, path: str, *, is_tar: bool) -> None:
    """Raises EnvelopeError, FormatError."""
    opened = repository.open_fetched(file, path)
    try:
        for member in read_members(TarReader(opened)) if is_tar else ():
            if member.fault is not None:
                raise FormatError(f"An entry in {file.name} {member.fault}")
        while opened.read(_PIECE):
            pass
    finally:
        opened.close()
