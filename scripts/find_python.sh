#!/usr/bin/env bash
# Prints a Python of at least 3.11 that can make virtual environments.
set -euo pipefail

for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
    [ -n "$candidate" ] || continue
    path=$(command -v "$candidate" 2>/dev/null) || continue
    if "$path" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        echo "$path"
        exit 0
    fi
done
echo "No Python >= 3.11 with venv and ensurepip: install python3-venv or set PYTHON" >&2
exit 1
