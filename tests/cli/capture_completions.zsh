# Prints what zsh would suggest: zsh -f capture_completions.zsh FOLDER_WITH_THE_FUNCTION FILE_FOR_RESULTS LINE...
# Completion only works in an interactive shell, so one runs on a terminal of its own. Each line is answered by a line
# `== LINE` and the suggestions, one a line, as compadd gets them: without what the shell adds behind them.
zmodload zsh/zpty || exit 9
folder=$1 results=$2
shift 2
zpty inner zsh -f -i
zpty -w inner "unset HISTFILE; PS1= PS2=; setopt no_beep; LISTMAX=10000; fpath=(${(q)folder} \$fpath); results=${(q)results}"
zpty -w inner 'autoload -Uz compinit && compinit -D -u
compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
        builtin compadd "$@"
        return
    fi
    typeset -a kept
    builtin compadd -A kept "$@"
    (( $#kept )) && print -rl -- $kept >> $results
    builtin compadd "$@"
}
capture() {
    _main_complete
    print -r -- FINISHED
    compstate[list]= compstate[insert]=
}
zle -C capture complete-word capture
bindkey "^I" capture
print READY-$(( 6 * 7 ))'
zpty -r -m inner ignored '*READY-42*'
for line; do
    : > $results
    zpty -w -n inner "$line"$'\t'
    zpty -r -m inner ignored '*FINISHED*'
    zpty -w -n inner $'\x15'
    print -r -- "== $line"
    cat $results
done
zpty -d inner
