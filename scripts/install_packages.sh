#!/usr/bin/env bash
# Installs the Debian packages that building and testing need, and only those that are missing.
# On a machine without apt it only says which commands are missing.
set -euo pipefail

here=$(dirname "$0")

packages=(acl attr bash binutils ca-certificates duply fish gcc gnupg groff-base libc6-dev libcap2-bin man-db mandoc procps
    rdiff tar zsh)
if ! "$here/find_python.sh" >/dev/null 2>&1; then
    packages+=(python3 python3-venv)
fi
if ! "$here/find_cargo.sh" >/dev/null 2>&1; then
    packages+=(cargo-web rustc-web)
fi

if ! command -v apt-get >/dev/null; then
    missing=()
    for command in bash cc duply fish getfacl gpg groff man mandoc rdiff setcap setfattr tar zsh; do
        command -v "$command" >/dev/null || missing+=("$command")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        echo "This is no Debian: please install what provides: ${missing[*]}" >&2
        exit 1
    fi
    "$here/find_python.sh" >/dev/null
    "$here/find_cargo.sh" >/dev/null
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query --show --showformat='${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    [ "${state:0:2}" = ii ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        as_root=(sudo)
    fi
    echo "Installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends -qq "${missing[@]}" </dev/null >/dev/null
fi
"$here/find_python.sh" >/dev/null
"$here/find_cargo.sh" >/dev/null
