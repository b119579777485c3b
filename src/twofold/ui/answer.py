"""What a run says with --json: one document at its end, behind lines where there is a stream (docs/json.md).

Nothing else is written to standard output. The document is made of what happened alone: the same gives the same bytes.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from twofold.model.times import format_compact
from twofold.ui.message import Audience, Level, Message, Messages
from twofold.ui.terminal import OutputStream

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

SCHEMA: Final = 1


class Answer:
    """The answer of one run in the making."""

    def __init__(self, output: OutputStream, *, action: str | None) -> None:
        """`action` is None for a command line that could not be understood."""
        self._output = output
        self._action = action
        self._messages: list[Json] = []
        self._result: Mapping[str, Json] | None = None
        self._error: Mapping[str, Json] | None = None
        self._indent: int | None = 2

    def give(self, result: Mapping[str, Json]) -> None:
        """Sets what the action has found or done."""
        self._result = result

    def stream(self, items: Sequence[Mapping[str, Json]]) -> None:
        """Writes a line for each; the document will be the last line."""
        self._indent = None
        self._output.write("".join([_dumped(item) for item in items]), flush=False)

    def note(self, message: Message) -> None:
        """Keeps what a person would be told besides the result; after `fail` that is the error, told already."""
        if self._error is None:
            level = message.level.name.lower()
            self._messages.append({"level": level, "code": message.code, "text": _clean(message.text)})

    def fail(self, name: str, code: int, text: str) -> None:
        """Sets why the run could not do what was asked; `code` is that of the machine log."""
        self._error = {"code": code, "name": name, "message": _clean(text)}

    def finish(self, exit_code: int) -> None:
        """Writes the document."""
        document: Mapping[str, Json] = {
            "schema": SCHEMA,
            "action": self._action,
            "exit_code": exit_code,
            "error": self._error,
            "messages": self._messages,
            "result": self._result,
        }
        self._output.write(_dumped(document, indent=self._indent), flush=True)


class AnswerSink:
    """Takes messages in the place of a terminal: they go into the answer, errors to standard error as well.

    What is shown at any verbosity is a result, which the answer has in another form.
    """

    def __init__(self, answer: Answer, errors: OutputStream, *, verbosity: int) -> None:
        self._answer = answer
        self._errors = errors
        self._verbosity = verbosity

    def tell(self, message: Message) -> None:
        if message.audience is Audience.PROGRAMS or not message.is_wanted(self._verbosity):
            return
        if message.level is Level.ERROR:
            self._errors.write(message.text + "\n", flush=True)
        if not message.always:
            self._answer.note(message)

    def tell_all(self, messages: Messages) -> None:
        """Lists are results."""


def path_json(path: bytes) -> dict[str, Json]:
    """A path inside a backup, the root as a dot. What is not UTF-8 is there in base64 as well, since JSON is text."""
    try:
        return {"path": path.decode() or "."}
    except UnicodeDecodeError:
        return {"path": path.decode(errors="replace"), "path_base64": base64.b64encode(path).decode()}


def time_json(instant: int | None) -> str | None:
    """An instant as `2026-01-31T12:00:00Z`."""
    if instant is None:
        return None
    text = format_compact(instant)
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[9:11]}:{text[11:13]}:{text[13:15]}Z"


def _clean(text: str) -> str:
    """Without the surrogates that stand for undecodable bytes of names: many readers refuse them."""
    return os.fsencode(text).decode(errors="replace")


def _dumped(value: Json, *, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, separators=None if indent else (",", ":")) + "\n"
