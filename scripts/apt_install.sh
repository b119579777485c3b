#!/usr/bin/env bash
# Installs those of the named Debian packages that are missing, as root or through sudo, and starts nothing:
# servers among them are for the tests, which run them on ports of their own.
set -euo pipefail

missing=()
for package in "$@"; do
    state=$(dpkg-query --show --showformat='${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    [ "${state:0:2}" = ii ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
fi
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi
echo "Installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --no-install-recommends -qq "${missing[@]}" </dev/null >/dev/null

# Nor shall they be started when the machine is booted again.
if [ -d /run/systemd/system ]; then
    for package in "${missing[@]}"; do
        for unit in $(dpkg-query --listfiles "$package" | sed -n 's|^/\(usr/\)\?lib/systemd/system/\([^/@]*\.service\)$|\2|p'); do
            "${as_root[@]}" systemctl disable --quiet "$unit" || true
        done
    done
fi
