"""Servers that speak WebDAV: wsgidav, nginx (plain and TLS), Apache with digest authentication, and rclone's."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.servers.certificate import make_certificate
from tests.servers.process import HOST, Running, program, serving

USER, PASSWORD = "u", "p"
_NGINX = """
load_module modules/ngx_http_dav_ext_module.so;
user {user};
worker_processes 1;
daemon off;
pid {folder}/pid;
events {{}}
http {{
  access_log off;
  client_max_body_size 0;
  client_body_temp_path {folder}/tmp;
  proxy_temp_path {folder}/tmp;
  fastcgi_temp_path {folder}/tmp;
  uwsgi_temp_path {folder}/tmp;
  scgi_temp_path {folder}/tmp;
  dav_ext_lock_zone zone=dav:1m;
  server {{
    listen {host}:{plain};
    listen {host}:{secret} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    auth_basic dav;
    auth_basic_user_file {folder}/passwords;
    root {folder}/root;
    location / {{
      dav_methods PUT DELETE MKCOL COPY MOVE;
      dav_ext_methods PROPFIND OPTIONS LOCK UNLOCK;
      dav_ext_lock zone=dav;
      create_full_put_path on;
    }}
  }}
}}
"""
_APACHE_MODULES = "mpm_event authn_core authn_file authz_core authz_user auth_digest dav dav_fs dir"
_APACHE = """
ServerRoot {folder}
ServerName localhost
Listen {host}:{port}
PidFile {folder}/run/pid
ErrorLog {folder}/error.log
Mutex file:{folder}/run default
User www-data
Group www-data
{modules}
DavLockDB {folder}/run/lock
DocumentRoot {folder}/root
<Directory {folder}/root>
  Dav On
  AuthType Digest
  AuthName realm
  AuthDigestProvider file
  AuthUserFile {folder}/digest
  Require valid-user
</Directory>
"""
_WSGIDAV = """
host: {host}
port: {port}
server: cheroot
provider_mapping: {{"/": {folder}/root}}
simple_dc: {{user_mapping: {{"*": {{{user}: {{password: {password}}}}}}}}}
http_authenticator: {{accept_basic: true, accept_digest: true, default_to_digest: false}}
verbose: 1
"""


@contextlib.contextmanager
def wsgidav() -> Iterator[Running]:
    """Basic authentication, If-None-Match; an interrupted PUT leaves a short file."""
    server = program("wsgidav")

    def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
        (folder / "root").mkdir()
        text = _WSGIDAV.format(host=HOST, port=ports[0], folder=folder, user=USER, password=PASSWORD)
        (folder / "wsgidav.yaml").write_text(text)
        return [server, "-c", str(folder / "wsgidav.yaml")]

    with serving(recipe) as running:
        yield running


@contextlib.contextmanager
def nginx() -> Iterator[Running]:
    """Two ports, plain and TLS; the certificate is cert.pem in the folder above. Wants slashes behind collections."""
    server, openssl = program("nginx"), program("openssl")

    def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
        for name in ("root", "tmp"):
            (folder / name).mkdir()
        hashed = subprocess.run(
            [openssl, "passwd", "-apr1", PASSWORD], check=True, capture_output=True, text=True
        ).stdout
        (folder / "passwords").write_text(f"{USER}:{hashed}")
        made = make_certificate(folder.parent)
        text = _NGINX.format(
            folder=folder,
            host=HOST,
            plain=ports[0],
            secret=ports[1],
            certificate=made.certificate,
            key=made.key,
            user=getpass.getuser(),
        )
        (folder / "nginx.conf").write_text(text)
        return [server, "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]

    with serving(recipe, ports=2) as running:
        yield running


@contextlib.contextmanager
def apache() -> Iterator[Running]:
    """Digest authentication; knows If-None-Match and sends whoever forgets a collection's slash elsewhere."""
    server = program("apache2")

    def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
        for name in ("root", "run"):
            (folder / name).mkdir()
            with contextlib.suppress(PermissionError):
                shutil.chown(folder / name, "www-data", "www-data")
        digest = hashlib.md5(f"{USER}:realm:{PASSWORD}".encode()).hexdigest()
        (folder / "digest").write_text(f"{USER}:realm:{digest}\n")
        modules = [
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in _APACHE_MODULES.split()
        ]
        text = _APACHE.format(folder=folder, host=HOST, port=ports[0], modules="\n".join(modules))
        (folder / "apache.conf").write_text(text)
        return [server, "-f", str(folder / "apache.conf"), "-D", "FOREGROUND"]

    with serving(recipe) as running:
        yield running


@contextlib.contextmanager
def rclone_webdav() -> Iterator[Running]:
    """A fourth one; an interrupted PUT leaves a short file."""

    def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
        (folder / "root").mkdir()
        login = ["--user", USER, "--pass", PASSWORD]
        address = f"{HOST}:{ports[0]}"
        return [program("rclone"), "serve", "webdav", "--config", "", "--addr", address, *login, str(folder / "root")]

    with serving(recipe) as running:
        yield running
