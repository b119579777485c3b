"""A mail server: Dovecot, with and without TLS."""

from __future__ import annotations

import contextlib
import shutil
import signal
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
mail_fsync = never
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
mail_plugins = quota
protocol imap {{
  mail_plugins = quota imap_quota
}}
plugin {{
  quota = maildir:Quota
  quota_rule = *:storage={quota}
}}
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
def dovecot(quota: str = "1G") -> Iterator[Running]:
    """Two ports, plain and TLS; any user has PASSWORD. The certificate is cert.pem in the folder above.

    The messages of a user lie below `mail/user`.
    """
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
            quota=quota,
        )
        (folder / "dovecot.conf").write_text(text)
        return [server, "-F", "-c", str(folder / "dovecot.conf")]

    # It waits for connections that have been given up.
    with serving(recipe, ports=2, stop=signal.SIGKILL) as running:
        yield running
