"""Encrypted files read back: gpg decrypts the whole file into a scratch file and judges it, then its content is read.

Nothing that gpg has not vouched for is ever returned. The scratch file has no name and goes when it is closed.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final, Self

from twofold.envelope import deflate
from twofold.envelope.gpg_command import GpgSettings, decrypt_command, fingerprints, list_keys_command
from twofold.envelope.gpg_process import GpgProcess, read_text, run_to_end
from twofold.envelope.gpg_status import (
    blames_keys,
    check_signer,
    decryption_error,
    has_bad_signature,
    parse_status,
    was_decrypted,
)
from twofold.envelope.packets import COMPRESSED_HEADER, LITERAL_HEADER, inflated, open_message
from twofold.envelope.protocol import Inside, Opened
from twofold.envelope.stored_file import check_room
from twofold.envelope.streams import FileStream
from twofold.errors import CorruptStream, EnvelopeError
from twofold.system import enlarge_pipe, move_from_pipe, scratch_file

_FRONT: Final = COMPRESSED_HEADER + deflate.stored(LITERAL_HEADER)
_PEEK: Final = 1 << 16
_PIPE_SIZE: Final = 1 << 20


class GpgReader:
    """Opens encrypted files as the settings demand."""

    def __init__(self, settings: GpgSettings) -> None:
        self._settings = settings
        self._accepted: frozenset[str] | None = None

    def open(self, path: str, passphrase: str | None, inside: Inside | None = None) -> Opened:
        """Decrypts and checks all of a file. Raises EnvelopeError, WrongSigner, CorruptStream, OSError.

        Where nobody has to have signed it, gpg removes only the encryption and inflating is done here, in half the
        time. Messages of an unusual structure are left to gpg, and all that are to be signed: it alone checks that.
        """
        if self._settings.demanded_signer is None:
            if inside is not None and (part := self._open_part(path, passphrase, inside)) is not None:
                return part
            packets = FileStream(self._decrypt(path, passphrase, keep_packets=True))
            try:
                content = open_message(packets)
            except BaseException:
                packets.close()
                raise
            if content is not None:
                return content
            packets.close()
        return FileStream(self._decrypt(path, passphrase, keep_packets=False))

    def _open_part(self, path: str, passphrase: str | None, inside: Inside) -> Opened | None:
        """That part of a file all of which has been decrypted and checked; None if it is not what is meant."""
        content = inflated(FileStream(self._decrypt(path, passphrase, keep_packets=True, inside=inside)))
        try:
            beginning = content.read(_PEEK)
        except CorruptStream:
            beginning = b""
        if beginning and inside.is_sound(beginning):
            content.unread(beginning)
            return content
        content.close()
        return None

    def _decrypt(self, path: str, passphrase: str | None, *, keep_packets: bool, inside: Inside | None = None) -> int:
        """A descriptor, at its beginning, of what gpg made of a file and vouches for, or of a part of that."""
        with contextlib.ExitStack() as held:
            source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            held.callback(os.close, source)
            status_fd = scratch_file(self._settings.temp_dir)
            held.callback(os.close, status_fd)
            output = scratch_file(self._settings.temp_dir)
            held.callback(os.close, output)
            pipe = None if inside is None else held.enter_context(_Pipe())
            process = GpgProcess(
                self._settings,
                lambda passphrase_fd: decrypt_command(
                    self._settings, passphrase_fd=passphrase_fd, status_fd=status_fd, keep_packets=keep_packets
                ),
                stdin=source,
                stdout=output if pipe is None else pipe.writing,
                passphrase=passphrase,
                pass_fds=(status_fd,),
            )
            if pipe is not None and inside is not None:
                try:
                    pipe.keep(inside, output)
                except OSError as error:
                    process.close()
                    raise OSError(error.errno, error.strerror, self._settings.temp_dir) from error
                except BaseException:
                    process.close()
                    raise
            self._judge(process, status_fd, output, name=os.path.basename(path))
            os.lseek(output, 0, os.SEEK_SET)
            return os.dup(output)

    def _judge(self, process: GpgProcess, status_fd: int, output: int, *, name: str) -> None:
        """Waits for gpg and returns when all is well. Raises EnvelopeError, WrongSigner, OSError for a full disk."""
        try:
            exit_code = process.wait()
            log = process.log()
        finally:
            process.close()
        status = parse_status(read_text(status_fd))
        decrypted = was_decrypted(status, needs_integrity=self._settings.needs_integrity)
        if (not decrypted or exit_code != 0) and not blames_keys(status):
            check_room(output, self._settings.temp_dir)
        demanded = self._settings.demanded_signer
        if demanded is not None and (decrypted or has_bad_signature(status)):
            # First this: with a signature that is bad or by an unknown key gpg's exit code is not 0 either.
            check_signer(status, self._fingerprints(demanded), name=name, demanded=demanded, log=log)
        if not decrypted or exit_code != 0:
            raise decryption_error(status, name=name, log=log)

    def _fingerprints(self, demanded: str) -> frozenset[str]:
        """All fingerprints of the keys that the user may have meant, primary keys and subkeys."""
        if self._accepted is None:
            _, output, log = run_to_end(self._settings, list_keys_command(self._settings, demanded))
            found = fingerprints(output.decode("utf-8", "replace"))
            if not found:
                raise EnvelopeError(
                    f"Key {demanded} is not in the keyring, so its signatures cannot be checked: import it", log
                )
            self._accepted = found
        return self._accepted


class _Pipe:
    """What gpg writes of which only a part is kept: the rest need not be put anywhere, which is half of its work."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        enlarge_pipe(self.writing, _PIPE_SIZE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_writing()
        os.close(self._reading)

    def keep(self, inside: Inside, output: int) -> None:
        """Reads to the end; the part goes to `output`, nothing if the packets are not as `UnsignedMessage` makes them.

        Only in those does it follow from an offset where a piece lies. Raises OSError.
        """
        self._close_writing()
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        try:
            if self._starts_with(_FRONT):
                move_from_pipe(self._reading, nowhere, inside.begin)
                size = None if inside.end is None else inside.end - inside.begin
                if move_from_pipe(self._reading, output, size) == size:
                    os.write(output, deflate.stored(inside.closing) + deflate.END_OF_DEFLATE)
            move_from_pipe(self._reading, nowhere, None)
        finally:
            os.close(nowhere)

    def _starts_with(self, front: bytes) -> bool:
        found = b""
        while len(found) < len(front) and (piece := os.read(self._reading, len(front) - len(found))):
            found += piece
        return found == front

    def _close_writing(self) -> None:
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1
