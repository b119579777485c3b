#!/usr/bin/env bash
# Shows twofold at work on real files: an encrypted backup, changes, an incremental, and both states restored and proved
# equal to what was saved. Prints every command before it runs and how long it took. Ends with an error at the first
# difference. TWOFOLD names the program; DEMO_SOURCE a folder to save (default: Python's own library).
set -euo pipefail

twofold=${TWOFOLD:-$(cd "$(dirname "$0")/.." && pwd)/.venv/bin/twofold}
work=$(mktemp --directory --tmpdir twofold-demo-XXXXXX)

clean_up() {
    gpgconf --kill all >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT

# A cache, keyring and home of its own: nothing of the person who runs this is touched.
mkdir --mode=700 "$work/gnupg"
export GNUPGHOME=$work/gnupg XDG_CACHE_HOME=$work/cache HOME=$work PASSPHRASE='a passphrase for the demonstration'
cd "$work"

say() { printf '\n== %s\n' "$*"; }

# Runs a command line as typed at a prompt, and says how long it took.
run() {
    printf '$ %s\n' "$1"
    local begin=$EPOCHREALTIME status=0
    eval "$1" || status=$?
    local end=$EPOCHREALTIME
    awk -v b="$begin" -v e="$end" 'BEGIN { printf "  (%.2f s)\n", e - b }'
    if [ "$status" -ne 0 ]; then
        printf 'This command ended with %d: the demonstration has failed\n' "$status" >&2
        exit "$status"
    fi
}

twofold() { "$twofold" "$@"; }

facts() { (cd "$1" && find . -printf '%p %y %m %U:%G %T@ %l\n' | LC_ALL=C sort); }

same() {
    run "diff -r --no-dereference $1 $2"
    printf '$ # kind, mode, owner, time to the nanosecond and link target of every file\n'
    run "diff <(facts $1) <(facts $2) && facts $2 | wc -l"
}

say "Some real files"
library=${DEMO_SOURCE:-$("${PYTHON:-python3}" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')}
mkdir documents
tar --create --directory "$library" --exclude=site-packages --exclude=dist-packages --exclude=__pycache__ \
    --exclude=./test --exclude='config-*' . | tar --extract --directory documents
ln -s os.py documents/a-link
run "du --summarize --human-readable --apparent-size documents; find documents -type f | wc -l"
cp --archive documents before

say "A full backup, encrypted with the passphrase in PASSPHRASE"
run "twofold full documents file://$work/target"
run "ls -l target"
full_time=$(cd target && echo duplicity-full.*.manifest.gpg | cut -d. -f2)

say "A working day: files written, changed, renamed and deleted"
sleep 1 # a backup has a time in whole seconds, and the next one needs another
run "echo 'A new idea' > documents/idea.txt"
run "echo '# a remark' >> documents/os.py"
run "sed -i '100s/.*/# changed in the middle/' documents/argparse.py"
run "mv documents/json documents/json-renamed"
run "rm -r documents/email"
run "chmod 600 documents/socket.py && ln -sfn socket.py documents/a-link"
cp --archive documents after

say "An incremental backup"
run "twofold incremental documents file://$work/target"

say "What there is"
run "twofold collection-status file://$work/target"
run "twofold list-current-files file://$work/target | tail -n 5"

say "Does the backup still say what the files say?"
run "twofold verify --compare-data file://$work/target documents"

say "The newest state, restored into a new folder"
run "twofold restore file://$work/target restored-after"
same after restored-after

say "The state before the changes, on a machine that has lost its cache"
run "rm -r cache"
run "twofold restore --time $full_time file://$work/target restored-before"
same before restored-before

say "Both states came back exactly as they were"
