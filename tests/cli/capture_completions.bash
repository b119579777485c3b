# Prints what bash would suggest: bash capture_completions.bash FILE_WITH_THE_FUNCTION, lines on standard input.
# Each is answered by a line `== LINE`, the suggestions, one a line, and `files` or `folders` where readline shall find them.
# Lines are cut into words as readline cuts them, at blanks, = and :, a run of the latter being a word of its own.
source "$1"
compopt() {
    [[ "$*" == *"-o default"* ]] && asked=files
    [[ "$*" == *"-o dirnames"* ]] && asked=folders
    return 0
}
while IFS= read -r line; do
    COMP_WORDS=() asked=""
    rest=$line
    while [[ $rest =~ ^\ *([=:]+|[^\ =:]+)(.*)$ ]]; do
        COMP_WORDS+=("${BASH_REMATCH[1]}")
        rest=${BASH_REMATCH[2]}
    done
    [[ $line == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    _twofold
    printf '== %s\n' "$line"
    ((${#COMPREPLY[@]})) && printf '%s\n' "${COMPREPLY[@]}"
    [[ $asked ]] && printf '%s\n' "$asked"
done
exit 0
