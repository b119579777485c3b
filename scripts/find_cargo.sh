#!/usr/bin/env bash
# Prints the folder of a cargo whose rustc is at least the version that native/Cargo.toml asks for.
set -euo pipefail

wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$(dirname "$0")/../native/Cargo.toml")
for folder in "$(dirname "$(command -v cargo || echo /nowhere/cargo)")" "${CARGO_HOME:-$HOME/.cargo}/bin" /usr/bin; do
    [ -x "$folder/cargo" ] && [ -x "$folder/rustc" ] || continue
    found=$("$folder/rustc" --version 2>/dev/null | sed -n 's/^rustc \([0-9.]*\).*/\1/p')
    if [ -n "$found" ] && [ "$(printf '%s\n' "$wanted" "$found" | sort --version-sort | head -n 1)" = "$wanted" ]; then
        echo "$folder"
        exit 0
    fi
done
echo "No cargo with rustc >= $wanted: install cargo-web and rustc-web, or a newer Rust" >&2
exit 1
