"""The completion for fish, with a line of help beside each suggestion. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from twofold.ui.commands import COMMANDS, Scope
from twofold.ui.documents.suggestions import (
    Suggestion,
    choices_of,
    options_with_values,
    schemes,
    suggested_options,
    value_of,
    word_of,
)
from twofold.ui.option import Option

_SCRIPT = r"""# fish completion for twofold(1), made from its table of options: do not edit

# The words of the command line before the cursor that are neither options nor values of them; fails where a value of
# the option before is wanted.
function __twofold_words
    set -l left 0
    set -l only_words no
    for word in (commandline -opc)[2..-1]
        if test $left -gt 0
            set left (math $left - 1)
        else if test $only_words = yes; or not string match --quiet -- '-?*' $word
            printf '%s\n' $word
        else if test $word = --
            set only_words yes
        else if contains -- $word @ONE@
            set left 1
        else if contains -- $word @TWO@
            set left 2
        end
    end
    test $left -eq 0
end

# Whether one of these actions was given, or none that decides.
function __twofold_is
    set -l given (__twofold_words)
    test (count $given) -eq 0; or contains -- $given[1] $argv; or not contains -- $given[1] @NAMES@
end

# What is wanted next: action, file, url or nothing.
function __twofold_wants
    set -l given (__twofold_words); or return
    set -l wanted nothing
    if test (count $given) -eq 0
        set wanted action
    else
        switch $given[1]:(count $given)
@WORDS@
            case '*://*:1'
                set wanted file
            case '*:1'
                set wanted url
        end
    end
    test $wanted = $argv[1]
end

function __twofold_urls
    set -l typed (commandline -ct)
    if string match --quiet -- 'file://*' $typed
        printf 'file://%s\n' (__fish_complete_directories (string replace -- file:// '' $typed) '')
    else
        printf '%s\n' @SCHEMES@
    end
end

complete -c twofold -f
complete -c twofold -n '__twofold_wants file' -F
complete -c twofold -n '__twofold_wants url' -a '(__twofold_urls)'
@ACTIONS@
complete -c twofold -n '__twofold_wants action' -F
@OPTIONS@
"""

_VALUES = {
    Suggestion.FILE: "-r -F",
    Suggestion.DIRECTORY: "-x -a '(__fish_complete_directories)'",
    Suggestion.PROGRAM: "-x -a '(__fish_complete_command)'",
    Suggestion.NOTHING: "-x",
}


def fish_completion() -> str:
    """A file for share/fish/vendor_completions.d."""
    parts = {
        "ONE": " ".join(options_with_values(1)),
        "TWO": " ".join(options_with_values(2)),
        "NAMES": " ".join(name for command in COMMANDS for name in command.names),
        "WORDS": "\n".join(_words()),
        "SCHEMES": " ".join(f"{name}://" for name in ("file", *schemes())),
        "ACTIONS": "\n".join(
            f"complete -c twofold -n '__twofold_wants action' -a {command.action.value} -d {_quoted(command.help)}"
            for command in COMMANDS
        ),
        "OPTIONS": "\n".join(_option(option) for option in suggested_options()),
    }
    script = _SCRIPT
    for name, text in parts.items():
        script = script.replace(f"@{name}@", text)
    return script


def _words() -> Iterator[str]:
    for command in COMMANDS:
        for place, word in enumerate(command.words, start=1):
            cases = " ".join(f"{name}:{place}" for name in command.names)
            yield f"            case {cases}\n                set wanted {word_of(word).value}"


def _option(option: Option) -> str:
    words = ["complete -c twofold"]
    if option.scope != Scope.ALL:
        actions = [name for command in COMMANDS if command.scope & option.scope for name in command.names]
        words.append(f"-n '__twofold_is {' '.join(actions)}'")
    words += [f"-s {option.short}"] if option.short else []
    words += [f"-l {name}" for name in option.names]
    if option.values_wanted:
        choices = choices_of(option)
        words.append(f"-x -a '{' '.join(choices)}'" if choices else _VALUES[value_of(option)])
    words.append(f"-d {_quoted(option.help)}")
    return " ".join(words)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
