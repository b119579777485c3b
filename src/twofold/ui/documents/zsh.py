"""The completion for zsh, with a line of help beside each suggestion. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from twofold.ui.commands import COMMANDS
from twofold.ui.documents.suggestions import (
    REPEATED,
    Suggestion,
    action_options,
    choices_of,
    common_options,
    further_options,
    schemes,
    value_of,
    word_of,
    words_of,
)
from twofold.ui.help import metavar_of
from twofold.ui.option import Option

_SCRIPT = r"""#compdef twofold
# zsh completion for twofold(1), made from its table of options: do not edit

_twofold_url() {
    if compset -P 'file://'; then
        _path_files -/
    else
        compadd -S '' -- @SCHEMES@
    fi
}

_twofold_action() {
    local -a actions=(
@ACTIONS@
    )
    if [[ $PREFIX == *://* ]]; then
        _twofold_url
    else
        _describe -t actions action actions || _files
    fi
}

_twofold_word() {
    case $1:$2 in
@WORDS@
        *://*:1) _files ;;
        *:1) _twofold_url ;;
    esac
}

_twofold() {
    local curcontext=$curcontext state word action=
    local -a line options common=(
@COMMON@
    )
    local -A opt_args
    for word in $words[2,CURRENT-1]; do
        case $word in
            @NAMES@) action=$word; break ;;
        esac
    done
    case $action in
@FURTHER@
        *) options=(
@EVERY@
        ) ;;
    esac
    _arguments -C -S : $common $options '1: :->action' '*: :->word' && return
    case $state in
        action) _twofold_action ;;
        word) _twofold_word "${(Q)line[1]}" $(( ${#line} - 1 )) ;;
    esac
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _twofold "$@"
else
    compdef _twofold twofold
fi
"""

_ACTIONS = {Suggestion.FILE: "_files", Suggestion.URL: "_twofold_url", Suggestion.NOTHING: "_message -e word word"}
_VALUES = {
    Suggestion.FILE: "_files",
    Suggestion.DIRECTORY: "_files -/",
    Suggestion.PROGRAM: "_command_names -e",
    Suggestion.NOTHING: " ",
}


def zsh_completion() -> str:
    """A file for share/zsh/site-functions."""
    parts = {
        "COMMON": _specifications(common_options()),
        "FURTHER": "\n".join(
            f"        {'|'.join(command.names)}) options=(\n{_specifications(further_options(command))}\n        ) ;;"
            for command in COMMANDS
        ),
        "EVERY": _specifications(action_options()),
        "WORDS": "\n".join(
            f"        ({'|'.join(command.names)}):{place}) {_ACTIONS[word_of(word)]} ;;"
            for command in COMMANDS
            for place, word in enumerate(command.words, start=1)
        ),
        "SCHEMES": " ".join(f"{name}://" for name in ("file", *schemes())),
        "ACTIONS": "\n".join(f"        {_quoted(f'{command.action.value}:{command.help}')}" for command in COMMANDS),
        "NAMES": "|".join(name for command in COMMANDS for name in command.names),
    }
    script = _SCRIPT
    for name, text in parts.items():
        script = script.replace(f"@{name}@", text)
    return script


def _specifications(options: Iterable[Option]) -> str:
    return "\n".join(f"        {line}" for option in options for line in _specification(option))


def _specification(option: Option) -> list[str]:
    """One line a way to write it, as _arguments wants them."""
    words = words_of(option)
    before = "*" if option.value in REPEATED else f"({' '.join(words)})" if len(words) > 1 else ""
    text = f"[{_escaped(option.help)}]{_value(option)}"
    return [_quoted(f"{before}{_with_joint(word, option)}{text}") for word in words]


def _with_joint(word: str, option: Option) -> str:
    """What joins a value to the word: nothing for letters, an equals sign for names; a blank is always possible."""
    if option.values_wanted != 1:
        return word
    return f"{word}=" if word.startswith("--") else f"{word}+"


def _value(option: Option) -> str:
    choices = choices_of(option)
    action = f"({' '.join(choices)})" if choices else _VALUES[value_of(option)]
    return "".join(f":{name}:{action}" for name in metavar_of(option).split(" ")[: option.values_wanted])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
