"""Encrypted files read back: gpg decrypts the whole file into a scratch file and judges it, then its content is read.

Nothing that gpg has not vouched for is ever returned. The scratch file has no name and goes when it is closed.
"""

from __future__ import annotations

import contextlib
import os

from twofold.envelope.gpg_command import GpgSettings, decrypt_command, fingerprints, list_keys_command
from twofold.envelope.gpg_process import GpgProcess, read_text, run_to_end
from twofold.envelope.gpg_status import check_signer, decryption_error, has_bad_signature, parse_status, was_decrypted
from twofold.envelope.packets import open_message
from twofold.envelope.protocol import Opened
from twofold.envelope.streams import FileStream
from twofold.errors import EnvelopeError
from twofold.system import scratch_file


class GpgReader:
    """Opens encrypted files as the settings demand."""

    def __init__(self, settings: GpgSettings) -> None:
        self._settings = settings
        self._accepted: frozenset[str] | None = None

    def open(self, path: str, passphrase: str | None) -> Opened:
        """Decrypts and checks all of a file. Raises EnvelopeError, WrongSigner, CorruptStream, OSError.

        Where nobody has to have signed it, gpg removes only the encryption and inflating is done here, in half the
        time. Messages of an unusual structure are left to gpg, and all that are to be signed: it alone checks that.
        """
        if self._settings.demanded_signer is None:
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

    def _decrypt(self, path: str, passphrase: str | None, *, keep_packets: bool) -> int:
        """A descriptor, at its beginning, of what gpg made of a file and vouches for."""
        with contextlib.ExitStack() as held:
            source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            held.callback(os.close, source)
            status_fd = scratch_file(self._settings.temp_dir)
            held.callback(os.close, status_fd)
            output = scratch_file(self._settings.temp_dir)
            held.callback(os.close, output)
            process = GpgProcess(
                self._settings,
                lambda passphrase_fd: decrypt_command(
                    self._settings, passphrase_fd=passphrase_fd, status_fd=status_fd, keep_packets=keep_packets
                ),
                stdin=source,
                stdout=output,
                passphrase=passphrase,
                pass_fds=(status_fd,),
            )
            self._judge(process, status_fd, name=os.path.basename(path))
            os.lseek(output, 0, os.SEEK_SET)
            return os.dup(output)

    def _judge(self, process: GpgProcess, status_fd: int, *, name: str) -> None:
        """Waits for gpg and returns when all is well. Raises EnvelopeError, WrongSigner."""
        try:
            exit_code = process.wait()
            log = process.log()
        finally:
            process.close()
        status = parse_status(read_text(status_fd))
        decrypted = was_decrypted(status, needs_integrity=self._settings.needs_integrity)
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
