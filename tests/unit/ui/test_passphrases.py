import os
import pty

import pytest

from twofold.concurrency import spawn
from twofold.errors import PassphraseNeeded, UserError
from twofold.ui.commands import Action
from twofold.ui.message import Message
from twofold.ui.passphrases import (
    ASK_AGAIN,
    ASK_DECRYPTION,
    ASK_SIGNING,
    Origin,
    Passphrases,
    Situation,
    decide_decryption,
    decide_signing,
)
from twofold.ui.prompt import TerminalPrompter


class Person:
    def __init__(self, *answers: str, is_person: bool = True) -> None:
        self.is_person = is_person
        self.answers = list(answers)
        self.prompts: list[str] = []

    def ask(self, prompt: str) -> str:
        self.prompts.append(prompt)
        if not self.answers:
            raise PassphraseNeeded("Nobody answers")
        return self.answers.pop(0)


class Said:
    def __init__(self) -> None:
        self.texts: list[str] = []

    def tell(self, message: Message) -> None:
        self.texts.append(message.text)


def resolver(situation: Situation, *answers: str):
    person, said = Person(*answers), Said()
    return Passphrases(situation, prompter=person, sink=said), person, said


@pytest.mark.parametrize(
    ("situation", "origin"),
    [
        (Situation(Action.FULL, passphrase=""), Origin.PASSPHRASE),
        (Situation(Action.FULL, encryption=False, passphrase="x"), Origin.PASSPHRASE),
        (Situation(Action.RESTORE, encrypt_keys=("K",), sign_key="K", sign_passphrase="x"), Origin.SIGN_PASSPHRASE),
        (Situation(Action.RESTORE, encrypt_keys=("K",), sign_key="L", sign_passphrase="x"), Origin.PERSON),
        (Situation(Action.FULL, encryption=False), Origin.NOBODY),
        (Situation(Action.FULL, use_agent=True), Origin.NOBODY),
        (Situation(Action.STATUS), Origin.NOBODY),
        (Situation(Action.REMOVE_OLDER), Origin.NOBODY),
        (Situation(Action.CLEANUP), Origin.PERSON),
        (Situation(Action.BACKUP, encrypt_keys=("K",)), Origin.NOBODY),
        (Situation(Action.LIST, encrypt_keys=("K",)), Origin.NOBODY),
        (Situation(Action.LIST), Origin.PERSON),
        (Situation(Action.VERIFY, encrypt_keys=("K",)), Origin.PERSON),
        (Situation(Action.BACKUP), Origin.PERSON),
    ],
)
def test_where_the_passphrase_for_decryption_comes_from(situation, origin):
    assert decide_decryption(situation) is origin


@pytest.mark.parametrize(
    ("situation", "origin"),
    [
        (Situation(Action.FULL), Origin.NOBODY),
        (Situation(Action.RESTORE, sign_key="K"), Origin.NOBODY),
        (Situation(Action.FULL, sign_key="K", sign_passphrase=""), Origin.SIGN_PASSPHRASE),
        (Situation(Action.FULL, sign_key="K", encrypt_keys=("K",), passphrase="x"), Origin.PASSPHRASE),
        (Situation(Action.BACKUP, sign_key="K", encrypt_keys=("L",), passphrase="x"), Origin.PERSON),
        (Situation(Action.BACKUP, sign_key="K", use_agent=True), Origin.NOBODY),
        (Situation(Action.FULL, sign_key="K"), Origin.PERSON),
    ],
)
def test_where_the_passphrase_for_signing_comes_from(situation, origin):
    assert decide_signing(situation, is_person=False) is origin


def test_a_full_backup_to_a_public_key_asks_for_the_signing_key_only_if_somebody_is_there():
    situation = Situation(Action.FULL, sign_key="K", encrypt_keys=("K",))
    assert decide_signing(situation, is_person=False) is Origin.NOBODY
    assert decide_signing(situation, is_person=True) is Origin.PERSON


def test_nobody_is_asked_before_it_matters_or_twice():
    made, person, _ = resolver(Situation(Action.RESTORE), "secret")
    assert person.prompts == []
    assert made.for_decryption() == made.for_decryption() == "secret"
    assert person.prompts == [ASK_DECRYPTION]


def test_a_new_passphrase_is_asked_for_until_it_is_typed_twice():
    made, person, said = resolver(Situation(Action.FULL), "a", "b", "", "", "c", "c")
    assert made.for_decryption() == "c"
    assert person.prompts == [ASK_DECRYPTION, ASK_AGAIN] * 3
    assert said.texts == [
        "First and second passphrases do not match!  Please try again.",
        "Cannot use empty passphrase with symmetric encryption!  Please try again.",
    ]


def test_signing_is_asked_for_between_the_two():
    made, person, _ = resolver(Situation(Action.BACKUP, sign_key="K"), "a", "a", "a")
    assert (made.for_decryption(), made.for_signing()) == ("a", "a")
    assert person.prompts == [ASK_DECRYPTION, ASK_SIGNING, ASK_AGAIN]


def test_reuse_is_told():
    made, _, said = resolver(Situation(Action.RESTORE, encrypt_keys=("K",), sign_key="K", sign_passphrase="x"))
    assert made.for_decryption() == "x"
    assert said.texts == ["Reuse configured SIGN_PASSPHRASE as PASSPHRASE"]
    made, _, said = resolver(Situation(Action.FULL, encrypt_keys=("K",), sign_key="K", passphrase="x"))
    assert made.for_signing() == "x"
    assert said.texts == ["Reuse configured PASSPHRASE as SIGN_PASSPHRASE"]


def test_two_different_passphrases_do_not_go_with_symmetric_encryption():
    made, _, _ = resolver(Situation(Action.FULL, sign_key="K", passphrase="a", sign_passphrase="b"))
    assert made.for_decryption() == "a"
    with pytest.raises(UserError, match="must equal") as caught:
        made.for_signing()
    assert caught.value.exit_code == 23
    made, _, _ = resolver(Situation(Action.FULL, sign_key="K", passphrase="a", sign_passphrase=""))
    assert (made.for_decryption(), made.for_signing()) == ("a", "")


def test_nobody_to_ask_is_an_error_and_asking_again_is_possible():
    made, person, _ = resolver(Situation(Action.RESTORE))
    with pytest.raises(PassphraseNeeded):
        made.for_decryption()
    person.answers = ["late"]
    assert made.for_decryption() == "late"


def test_secrets_are_not_shown():
    assert "s3cret" not in repr(Situation(Action.FULL, passphrase="s3cret", sign_passphrase="s3cret"))


def prompter_on_pipe(data: bytes):
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    warnings: list[str] = []
    return TerminalPrompter(warn=warnings.append, terminal_path="/nonexistent", descriptor=reader), reader, warnings


def test_without_a_terminal_one_line_of_standard_input_is_taken():
    prompter, reader, warnings = prompter_on_pipe(b"first\r\nsecond\n")
    assert not prompter.is_person
    assert prompter.ask(ASK_DECRYPTION) == "first"
    assert "standard input" in warnings[0]
    assert os.read(reader, 100) == b"second\n"
    os.close(reader)


def test_the_end_of_standard_input_says_that_a_passphrase_is_wanted():
    prompter, reader, _ = prompter_on_pipe(b"")
    with pytest.raises(PassphraseNeeded, match="PASSPHRASE") as caught:
        prompter.ask(ASK_DECRYPTION)
    assert caught.value.exit_code == 30
    os.close(reader)


def test_a_terminal_is_asked_without_echo():
    master, slave = pty.openpty()
    prompter = TerminalPrompter(warn=lambda _: None, terminal_path=os.ttyname(slave))
    assert prompter.is_person
    task = spawn(lambda: prompter.ask(ASK_SIGNING), name="person")
    shown = b""
    while ASK_SIGNING.encode() not in shown:
        shown += os.read(master, 100)
    os.write(master, b"s3cr\xe9t\n")
    answer = task.join()
    while not shown.endswith(b"\n"):
        shown += os.read(master, 100)
    assert answer == os.fsdecode(b"s3cr\xe9t")
    assert b"s3cr" not in shown
    os.close(master)
    os.close(slave)
