"""A mail server: Dovecot, with and without TLS."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.servers.certificate import make_certificate
from tests.servers.process import HOST, Running, program, require_root, serving

PASSWORD = "mailpw"
_DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/server.log
protocols = imap
listen = {host}
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%u
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/mail/%u
}}
service imap-login {{
  inet_listener imap {{
    port = {plain}
  }}
  inet_listener imaps {{
    port = {secret}
    ssl = yes
  }}
}}
"""


@contextlib.contextmanager
def dovecot() -> Iterator[Running]:
    """Two ports, plain and TLS; any user has PASSWORD. The certificate is cert.pem in the folder above."""
    server = program("dovecot")
    require_root("dovecot")

    def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
        for name in ("run", "mail"):
            (folder / name).mkdir()
        shutil.chown(folder / "mail", "mail")
        made = make_certificate(folder.parent)
        text = _DOVECOT.format(
            folder=folder,
            host=HOST,
            certificate=made.certificate,
            key=made.key,
            password=PASSWORD,
            plain=ports[0],
            secret=ports[1],
        )
        (folder / "dovecot.conf").write_text(text)
        return [server, "-F", "-c", str(folder / "dovecot.conf")]

    with serving(recipe, ports=2) as running:
        yield running
