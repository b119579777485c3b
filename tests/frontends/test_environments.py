"""`duplicity` where it is not at home: locales, a pipe, a terminal, cron; an ordinary user stands in tests/cli."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from pathlib import Path

import pytest

from tests.frontends.desk import DUPLICITY, QUICK_KEYS, Desk
from tests.frontends.stanzas import errors, of_kind
from tests.support.gnupg import GnupgHome
from tests.support.tree import Fidelity, assert_same_tree

ODD_NAMES = (b"caf\xc3\xa9", b"latin-\xe9", b"\xff\xfe", b"new\nline", b"it's", b" blank ", b"\x1b[31mred\x07")
SECONDS = 60


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "en_US.UTF-8", "xx_XX.ISO-8859-1"])
def test_any_name_survives_any_locale_and_is_told_to_programs_alike(desk: Desk, locale: str) -> None:
    desk = desk.with_variables(LC_ALL=locale)
    for name in ODD_NAMES:
        with open(os.path.join(os.fsencode(desk.source), name), "wb") as file:
            file.write(name)
    desk.run(DUPLICITY, desk.source, desk.url, "--no-encryption")
    _, stanzas = desk.run_logged(DUPLICITY, "list-current-files", desk.url, "--no-encryption")
    assert set(ODD_NAMES) <= {os.fsencode(stanza.words[1]) for stanza in of_kind(stanzas, "INFO", 10)}
    desk.run(DUPLICITY, desk.url, "out", "--no-encryption")
    assert_same_tree(os.fsencode(desk.folder / "out"), os.fsencode(desk.source), fidelity=Fidelity.FULL)


def test_cron_gives_nothing_but_a_short_path(desk: Desk, gnupg_home: GnupgHome) -> None:
    bare = {"PATH": "/usr/bin:/bin", "GNUPGHOME": gnupg_home.path, "PASSPHRASE": "secret"}
    program = desk.programs / DUPLICITY
    common = ("--archive-dir", desk.folder / "archive", "--tempdir", desk.temporary, QUICK_KEYS)
    for words in ((desk.source, desk.url), (desk.source, desk.url), (desk.url, "out")):
        done = desk.run(program, *words, *common, environment=bare)
        assert done.stderr == ""
        assert "\x1b" not in done.stdout
    assert_same_tree(os.fsencode(desk.folder / "out"), os.fsencode(desk.source), fidelity=Fidelity.FULL)
    nothing = desk.run(program, "collection-status", desk.url, *common, environment={})
    assert "Chain start time: " in nothing.stdout


def test_progress_into_a_pipe_has_no_codes_for_terminals(desk: Desk) -> None:
    done = desk.run(DUPLICITY, "--progress", desk.source, desk.url, "--no-encryption")
    assert done.stderr == ""
    assert "\x1b" not in done.stdout


def test_a_reader_that_goes_away_stops_no_backup(desk: Desk) -> None:
    shell = f"duplicity -v9 {desk.source} {desk.url} --no-encryption | true"
    assert desk.run("bash", "-o", "pipefail", "-c", shell).stderr == ""
    desk.run(DUPLICITY, "verify", "--compare-data", desk.url, desk.source, "--no-encryption")


# ---- a terminal ------------------------------------------------------------------------------------------------------


class Typist:
    """Somebody at a terminal: waits for a question, types an answer, reads all that is shown."""

    def __init__(self, desk: Desk, words: tuple[str | Path, ...]) -> None:
        self._controller, terminal = pty.openpty()
        self._process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *map(str, words)],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=desk.folder,
            env={**desk.environment(), "TERM": "xterm"},
        )
        os.close(terminal)
        self.shown = ""

    def answer(self, question: str, answer: str) -> None:
        until = time.monotonic() + SECONDS
        seen = len(self.shown)
        while question not in self.shown[seen:]:
            assert self._read(), self.shown
            assert time.monotonic() < until, self.shown
        os.write(self._controller, answer.encode() + b"\n")

    def finish(self) -> int:
        while self._read():
            pass
        os.close(self._controller)
        return self._process.wait(timeout=SECONDS)

    def _read(self) -> bool:
        try:
            data = os.read(self._controller, 65536)
        except OSError:  # the last one at the other side has gone
            return False
        self.shown += data.decode("utf-8", "replace")
        return bool(data)


def test_at_a_terminal_a_passphrase_is_asked_for_until_both_agree_and_never_shown(desk: Desk) -> None:
    person = Typist(desk, (DUPLICITY, desk.source, desk.url, QUICK_KEYS))
    person.answer("GnuPG passphrase for decryption: ", "one thing")
    person.answer("Retype passphrase for decryption to confirm: ", "another")
    person.answer("GnuPG passphrase for decryption: ", "secret words")
    person.answer("Retype passphrase for decryption to confirm: ", "secret words")
    assert person.finish() == 0
    assert "First and second passphrases do not match!" in person.shown
    assert "Duplicity backup complete." in person.shown
    assert not any(word in person.shown for word in ("one thing", "another", "secret words"))

    person = Typist(desk, (DUPLICITY, desk.url, "out", QUICK_KEYS))
    person.answer("GnuPG passphrase for decryption: ", "secret words")
    assert person.finish() == 0
    assert_same_tree(os.fsencode(desk.folder / "out"), os.fsencode(desk.source), fidelity=Fidelity.FULL)


def test_without_a_terminal_and_an_answer_no_front_end_waits_for_ever(desk: Desk) -> None:
    _, stanzas = desk.run_logged(DUPLICITY, desk.source, desk.url, expect=30)
    assert errors(stanzas) == [(30, "EOFError")]
    assert not desk.target.exists() or desk.names() == []
