#!/usr/bin/env bash
# Installs the Debian packages that building and testing need, and only those that are missing.
# On a machine without apt it only says which commands are missing.
set -euo pipefail

here=$(dirname "$0")

if ! command -v apt-get >/dev/null; then
    missing=()
    for command in bash cc duply fish getfacl gpg groff man mandoc rdiff setcap setfattr tar zsh; do
        command -v "$command" >/dev/null || missing+=("$command")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        echo "This is no Debian: please install what provides: ${missing[*]}" >&2
        exit 1
    fi
else
    packages=(acl attr bash binutils ca-certificates duply fish gcc gnupg groff-base libc6-dev libcap2-bin man-db mandoc procps
        rdiff tar zsh)
    if ! "$here/find_python.sh" >/dev/null 2>&1; then
        packages+=(python3 python3-venv)
    fi
    if ! "$here/find_cargo.sh" >/dev/null 2>&1; then
        packages+=(cargo-web rustc-web)
    fi
    "$here/apt_install.sh" "${packages[@]}"
fi
"$here/find_python.sh" >/dev/null
"$here/find_cargo.sh" >/dev/null
