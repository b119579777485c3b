"""Tells whether a wrapped file ends where its wrapping does: what follows is passed over by whoever opens it."""

from __future__ import annotations

import os
from typing import Final

from twofold.envelope.gzip import GzipStream
from twofold.envelope.packets import Tag, next_packet, skip
from twofold.envelope.streams import BLOCK, FileStream
from twofold.errors import CorruptStream
from twofold.model.backup import Wrapping

_IS_PACKET: Final = 0x80


def check_ending(path: str, wrapping: Wrapping, *, name: str) -> None:
    """Raises CorruptStream, with the name, where bytes follow the wrapping of a file, and OSError.

    What is wrong in other ways is left to be found when it is opened, as are files in armour and those by gpgsm.
    """
    if wrapping not in (Wrapping.GZIP, Wrapping.GPG):
        return
    source = FileStream(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    try:
        (_pass_gzip if wrapping is Wrapping.GZIP else _pass_message)(source)
        if source.read(1):
            raise CorruptStream(f"{name}: bytes follow its end")
    finally:
        source.close()


def _pass_gzip(source: FileStream) -> None:
    content = GzipStream(source)
    try:
        while content.more(BLOCK):
            pass
    except CorruptStream:
        _pass_rest(source)


def _pass_message(source: FileStream) -> None:
    """All packets up to the encrypted one, which is the last."""
    first = source.read(1)
    source.unread(first)
    if not first or not first[0] & _IS_PACKET:
        _pass_rest(source)
        return
    try:
        while (packet := next_packet(source)) is not None:
            skip(packet.body)
            if packet.tag in (Tag.ENCRYPTED, Tag.ENCRYPTED_WITH_MDC, Tag.ENCRYPTED_WITH_TAG):
                return
    except CorruptStream:
        _pass_rest(source)


def _pass_rest(source: FileStream) -> None:
    while source.more(BLOCK):
        pass
