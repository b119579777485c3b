"""Which passphrase gpg gets, and whom to ask for it (docs/cli.md sections 8.3 and 8.4).

Nobody is asked before a passphrase is really about to be used, and nobody is asked twice.
"""

from __future__ import annotations

from enum import Enum

from twofold.concurrency import Pool
from twofold.errors import UserError
from twofold.model.value import field, record, value
from twofold.ui.commands import Action
from twofold.ui.message import Level, Message, Sink, notice
from twofold.ui.prompt import Prompter

ASK_DECRYPTION = "GnuPG passphrase for decryption: "
ASK_SIGNING = "GnuPG passphrase for signing key: "
ASK_AGAIN = "Retype passphrase for decryption to confirm: "
# duplicity's words above are what scripts wait for; under our own name a passphrase to encrypt with is called that.
ASK_ENCRYPTION = "GnuPG passphrase for encryption: "
ASK_ENCRYPTION_AGAIN = "Retype passphrase for encryption to confirm: "

_NOT_EQUAL = "First and second passphrases do not match!  Please try again."
_EMPTY = "Cannot use empty passphrase with symmetric encryption!  Please try again."
# What these decrypt is good to have, but they do without: nobody has to sit by.
_NEVER_ASKING = frozenset(
    {Action.STATUS, Action.REMOVE_OLDER, Action.REMOVE_ALL_BUT, Action.REMOVE_INCREMENTALS, Action.REPLICATE}
)


@value
class Situation:
    """All that decides about passphrases; `encrypt_keys` are the hidden ones, too."""

    action: Action
    encryption: bool = True
    use_agent: bool = False
    encrypt_keys: tuple[str, ...] = ()
    sign_key: str | None = None
    passphrase: str | None = field(default=None, repr=False)
    sign_passphrase: str | None = field(default=None, repr=False)
    as_duplicity: bool = True

    @property
    def is_symmetric(self) -> bool:
        return not self.encrypt_keys

    @property
    def signs(self) -> bool:
        return self.action.makes_backup and self.sign_key is not None

    @property
    def shares_key(self) -> bool:
        """Whether the key that signs is also one that decrypts."""
        return self.sign_key is not None and self.sign_key in self.encrypt_keys


class Origin(Enum):
    """Where a passphrase comes from."""

    PASSPHRASE = "PASSPHRASE"  # noqa: S105 - the name of a variable
    SIGN_PASSPHRASE = "SIGN_PASSPHRASE"  # noqa: S105 - the name of a variable
    NOBODY = "gpg has to do without"
    PERSON = "a person"


def decide_decryption(situation: Situation) -> Origin:
    """The order of docs/cli.md section 8.3; `cleanup` decrypts only to fill the cache, and then has to ask."""
    if situation.passphrase is not None:
        return Origin.PASSPHRASE
    if situation.shares_key and situation.sign_passphrase is not None:
        return Origin.SIGN_PASSPHRASE
    if not situation.encryption or situation.use_agent or situation.action in _NEVER_ASKING:
        return Origin.NOBODY
    if not situation.is_symmetric and situation.action not in (Action.RESTORE, Action.VERIFY):
        return Origin.NOBODY
    return Origin.PERSON


def decide_signing(situation: Situation, *, is_person: bool) -> Origin:
    """For a full backup with a public key duplicity never asks, so without a terminal the agent still has to know."""
    if not situation.signs:
        return Origin.NOBODY
    if situation.sign_passphrase is not None:
        return Origin.SIGN_PASSPHRASE
    if situation.shares_key and situation.passphrase is not None:
        return Origin.PASSPHRASE
    if not situation.encryption or situation.use_agent:
        return Origin.NOBODY
    if situation.action is Action.FULL and not situation.is_symmetric and not is_person:
        return Origin.NOBODY
    return Origin.PERSON


@record
class _Answers:
    """What is known by now; each at most asked once."""

    has_decryption: bool = False
    decryption: str | None = field(default=None, repr=False)
    has_signing: bool = False
    signing: str | None = field(default=None, repr=False)


class Passphrases:
    """Gives passphrases to the envelope, in any thread. Raises PassphraseNeeded, UserError where two contradict."""

    def __init__(self, situation: Situation, *, prompter: Prompter, sink: Sink) -> None:
        self._situation = situation
        self._prompter = prompter
        self._sink = sink
        self._answers = Pool([_Answers()])  # whoever holds the answers may ask; the others wait

    def for_decryption(self) -> str | None:
        """The one for symmetric encryption and for secret keys that decrypt; None when gpg has to do without."""
        answers = self._answers.take()
        try:
            if not answers.has_decryption:
                self._find_decryption(answers)
            return answers.decryption
        finally:
            self._answers.give(answers)

    def for_signing(self) -> str | None:
        """The one of the secret key that signs; None when gpg has to do without."""
        answers = self._answers.take()
        try:
            if not answers.has_signing:
                self._find_signing(answers)
            return answers.signing
        finally:
            self._answers.give(answers)

    def _find_decryption(self, answers: _Answers) -> None:
        situation = self._situation
        origin = decide_decryption(situation)
        if origin is Origin.PERSON and situation.is_symmetric and situation.action.makes_backup:
            self._ask_with_confirmation(answers)
        else:
            answers.decryption = self._from(origin, ASK_DECRYPTION)
            if origin is Origin.SIGN_PASSPHRASE:
                self._sink.tell(notice("Reuse configured SIGN_PASSPHRASE as PASSPHRASE"))
        answers.has_decryption = True
        self._check_pair(answers)

    def _find_signing(self, answers: _Answers) -> None:
        origin = decide_signing(self._situation, is_person=self._prompter.is_person)
        answers.signing = self._from(origin, ASK_SIGNING)
        if origin is Origin.PASSPHRASE:
            self._sink.tell(notice("Reuse configured PASSPHRASE as SIGN_PASSPHRASE"))
        answers.has_signing = True
        self._check_pair(answers)

    def _from(self, origin: Origin, prompt: str) -> str | None:
        match origin:
            case Origin.PASSPHRASE:
                return self._situation.passphrase
            case Origin.SIGN_PASSPHRASE:
                return self._situation.sign_passphrase
            case Origin.PERSON:
                return self._prompter.ask(prompt)
            case Origin.NOBODY:
                return None

    def _ask_with_confirmation(self, answers: _Answers) -> None:
        """What is encrypted with a mistyped passphrase is lost, so it is asked for twice, and until it is right."""
        as_duplicity = self._situation.as_duplicity
        ask, again = (ASK_DECRYPTION, ASK_AGAIN) if as_duplicity else (ASK_ENCRYPTION, ASK_ENCRYPTION_AGAIN)
        while True:
            first = self._prompter.ask(ask)
            if self._situation.signs and not answers.has_signing:
                self._find_signing(answers)
            second = self._prompter.ask(again)
            if first != second:
                self._complain(_NOT_EQUAL)
            elif not first:
                self._complain(_EMPTY)
            else:
                answers.decryption = first
                return

    def _complain(self, text: str) -> None:
        self._sink.tell(Message(Level.NOTICE, text, always=True))

    def _check_pair(self, answers: _Answers) -> None:
        """As gpg takes one passphrase, that of a symmetric backup has to serve the signing key, too."""
        both = answers.has_decryption and answers.has_signing and self._situation.encryption
        if not both or not self._situation.is_symmetric or not answers.signing:
            return
        if answers.signing != answers.decryption:
            raise UserError(
                "When using symmetric encryption, the signing passphrase must equal the encryption passphrase"
            )
