#!/usr/bin/env bash
# Compiles the Rust kernel into src/twofold and proves that Python can load it.
# setup.py marks the kernel optional, so that a failure passes by quietly; here it is shown and final.
set -euo pipefail

cd "$(dirname "$0")/.."
python=$1
cargo_folder=$(scripts/find_cargo.sh)
export PATH="$cargo_folder:$PATH"

rm -f src/twofold/_native*.so
if ! output=$("$python" setup.py build_rust --inplace --release 2>&1) || ! "$python" -c 'import twofold._native'; then
    echo "$output" >&2
    echo "The kernel was not built with $("$cargo_folder/rustc" --version) in $cargo_folder" >&2
    exit 1
fi
