#!/usr/bin/env bash
# Installs what `make bench` measures twofold against, where it is missing: restic and tar from Debian, borg 1.4 from
# PyPI into the folder given. A peer that cannot be installed is said, and left out of the tables; it fails nothing.
set -euo pipefail

cd "$(dirname "$0")/.."
borg_folder=$1

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
fi

install_packages() {
    local missing=() package state
    for package in "$@"; do
        state=$(dpkg-query --show --showformat='${db:Status-Abbrev}' "$package" 2>/dev/null || true)
        [ "${state:0:2}" = ii ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "This is no Debian: please install what these packages hold: ${missing[*]}" >&2
        return 1
    fi
    echo "Installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install --yes --no-install-recommends -qq "${missing[@]}" </dev/null >/dev/null
}

install_borg() {
    local python
    python=$(scripts/find_python.sh) || return
    install_packages gcc libacl1-dev liblz4-dev libssl-dev libxxhash-dev libzstd-dev pkg-config python3-dev || return
    "$python" -m venv --clear "$borg_folder" || return
    "$borg_folder/bin/python" -m pip --disable-pip-version-check --quiet install 'borgbackup==1.4.*' || return
    "$borg_folder/bin/borg" --version
}

if [ -z "${TWOFOLD_BENCH_RESTIC:-}" ] && ! command -v restic >/dev/null; then
    install_packages restic || echo "restic could not be installed and will not be measured" >&2
fi
if [ -z "${TWOFOLD_BENCH_BORG:-}" ] && ! "$borg_folder/bin/borg" --version >/dev/null 2>&1; then
    install_borg || echo "borg could not be installed and will not be measured" >&2
fi
