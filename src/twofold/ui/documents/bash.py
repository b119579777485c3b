"""The completion for bash 4 and newer, which needs no package besides. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from twofold.ui.commands import COMMANDS
from twofold.ui.documents.suggestions import (
    Suggestion,
    action_options,
    choices_of,
    common_options,
    further_options,
    options_with_values,
    schemes,
    suggested_options,
    value_of,
    word_of,
    words_of,
)
from twofold.ui.option import Option

_SCRIPT = r"""# bash completion for twofold(1), made from its table of options: do not edit

_twofold_options() {
    local common="@COMMON@"
    case $1 in
@FURTHER@
        *) REPLY="$common @EVERY@" ;;
    esac
}

_twofold_word() {
    REPLY=nothing
    case $1:$2 in
@WORDS@
    esac
}

_twofold_value() {
    REPLY=nothing
    case $1 in
@VALUES@
    esac
}

# How many words an option takes besides its name.
_twofold_count() {
    case $1 in
        @TWO@) REPLY=2 ;;
        @ONE@) REPLY=1 ;;
        *) REPLY=0 ;;
    esac
}

_twofold_suggest() {
    local typed=$2 before=$3 folder words
    case $1 in
        # Readline knows best how names of files are quoted.
        file) compopt +o nospace -o default ;;
        directory) compopt +o nospace -o dirnames ;;
        program) mapfile -t COMPREPLY < <(compgen -P "$before" -S " " -c -- "$typed") ;;
        url)
            if [[ $typed == file://* ]]; then
                folder=${typed#file://}
                while IFS= read -r folder; do
                    printf -v folder '%q' "$folder"
                    COMPREPLY+=("${before}file://$folder/")
                done < <(compgen -d -- "${folder//\\/}")
            else
                mapfile -t COMPREPLY < <(compgen -P "$before" -W "@SCHEMES@" -- "$typed")
            fi
            ;;
        choice:*)
            words=${1#choice:}
            mapfile -t COMPREPLY < <(compgen -P "$before" -S " " -W "${words//,/ }" -- "$typed")
            ;;
    esac
}

_twofold() {
    COMPREPLY=()
    compopt -o nospace
    # Readline takes words apart at = and : here they are put together again.
    local words=() word glued="" index
    for ((index = 1; index <= COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        if ((${#words[@]} > 0)) && [[ $glued || ( $word == [=:]* && ${COMP_WORDBREAKS} == *[=:]* ) ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
        glued=""
        [[ $word == [=:]* && ${word//[=:]/} == "" ]] && glued=yes
    done
    local typed=${words[-1]} action="" place=0 pending="" left=0 only_words="" REPLY
    for ((index = 0; index < ${#words[@]} - 1; index++)); do
        word=${words[index]}
        if ((left > 0)); then
            ((left--))
        elif [[ $only_words || $word != -?* ]]; then
            if ((place == 0)); then
                action=$word
            fi
            ((place++))
        elif [[ $word == -- ]]; then
            only_words=yes
        else
            _twofold_count "$word"
            left=$REPLY pending=$word
        fi
    done
    if ((left > 0)); then
        _twofold_value "$pending"
        _twofold_suggest "$REPLY" "$typed" ""
    elif [[ ! $only_words && $typed == --*=* ]]; then
        _twofold_value "${typed%%=*}"
        _twofold_suggest "$REPLY" "${typed#*=}" "${typed%%=*}="
    elif [[ ! $only_words && $typed == -* ]]; then
        _twofold_options "$action"
        mapfile -t COMPREPLY < <(compgen -S " " -W "$REPLY" -- "$typed")
    elif ((place == 0)); then
        mapfile -t COMPREPLY < <(compgen -S " " -W "@ACTIONS@" -- "$typed")
        if [[ $typed == *://* ]]; then
            _twofold_suggest url "$typed" ""
        elif [[ $typed && ${#COMPREPLY[@]} -eq 0 ]]; then
            _twofold_suggest file "$typed" ""
        fi
    else
        _twofold_word "$action" "$place"
        _twofold_suggest "$REPLY" "$typed" ""
    fi
    # What stands before the last place where readline took the word apart is on the line already.
    local last=${COMP_WORDS[COMP_CWORD]} before=""
    [[ $last == [=:] ]] && last=""
    if [[ $typed == *"$last" ]]; then
        before=${typed%"$last"}
    fi
    for index in "${!COMPREPLY[@]}"; do
        COMPREPLY[index]=${COMPREPLY[index]#"$before"}
    done
}

complete -F _twofold twofold
"""


def bash_completion() -> str:
    """A file for share/bash-completion/completions."""
    parts = {
        "COMMON": _joined(common_options()),
        "FURTHER": "\n".join(
            f'        {"|".join(command.names)}) REPLY="$common {_joined(further_options(command))}" ;;'
            for command in COMMANDS
        ),
        "EVERY": _joined(action_options()),
        "WORDS": "\n".join(_words()),
        "VALUES": "\n".join(_values()),
        "TWO": "|".join(options_with_values(2)),
        "ONE": "|".join(options_with_values(1)),
        "SCHEMES": " ".join(f"{name}://" for name in ("file", *schemes())),
        "ACTIONS": " ".join(command.action.value for command in COMMANDS),
    }
    script = _SCRIPT
    for name, text in parts.items():
        script = script.replace(f"@{name}@", text)
    return script


def _joined(options: Iterable[Option]) -> str:
    return " ".join(word for option in options for word in words_of(option))


def _words() -> list[str]:
    """What follows an action; without one, a path means that a URL follows, and the other way round."""
    rows: dict[Suggestion, list[str]] = {}
    for command in COMMANDS:
        for place, word in enumerate(command.words, start=1):
            rows.setdefault(word_of(word), []).extend(f"{name}:{place}" for name in command.names)
    lines = [f"        {'|'.join(places)}) REPLY={kind.value} ;;" for kind, places in rows.items()]
    return [*lines, "        *://*:1) REPLY=file ;;", "        *:1) REPLY=url ;;"]


def _values() -> list[str]:
    rows: dict[str, list[str]] = {}
    for option in suggested_options():
        kind = value_of(option)
        if option.values_wanted and kind is not Suggestion.NOTHING:
            text = f"choice:{','.join(choices_of(option))}" if kind is Suggestion.CHOICE else kind.value
            rows.setdefault(text, []).extend(words_of(option))
    return [f"        {'|'.join(names)}) REPLY={kind} ;;" for kind, names in rows.items()]
