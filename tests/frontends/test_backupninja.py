"""The `dup` handler of backupninja 1.2.2: through a shell, output captured, only exit codes used (docs/cli.md 10.3)."""

from __future__ import annotations

import re
import shlex

from tests.frontends.desk import Desk
from tests.support.gnupg import GnupgHome

DAY = 86_400
NOW = 1_750_000_000


def test_a_night_of_backupninja_goes_through_without_a_word_on_standard_error(
    desk: Desk, gnupg_home: GnupgHome
) -> None:
    key = gnupg_home.locked
    desk = desk.with_variables(PASSPHRASE=key.passphrase, SIGN_PASSPHRASE=key.passphrase, FTP_PASSWORD="", LC_ALL="C")
    options = (
        f"--no-print-statistics --ssh-options '-oIdentityFile=/none' --encrypt-key {key.fingerprint} "
        f"--sign-key {key.fingerprint} --full-if-older-than 30D --tempdir '{desk.temporary}' "
        f"--archive-dir {desk.folder / 'cache'}"
    )
    url = shlex.quote(desk.url)
    selection = f"--exclude '{desk.source}/pictures' --include '{desk.source}' --exclude '**'"
    backups = [f"{options} --current-time {NOW + day * DAY} {selection} / {url}" for day in (0, 1, 31)]
    for words in (
        *backups[:2],
        f"cleanup --force {options} {url}",
        f"remove-older-than 60D --force {options} {url} --current-time {NOW + 31 * DAY}",
        f"remove-all-inc-of-but-n-full 2 --force {options} {url}",
        backups[2],
    ):
        done = desk.run("sh", "-c", f"LC_ALL=C duplicity {words}")
        assert done.stderr == ""
        assert "Backup Statistics" not in done.stdout
    assert len([name for name in desk.names() if re.fullmatch(r"duplicity-full\..*\.manifest\.gpg", name)]) == 2
    assert len([name for name in desk.names() if re.fullmatch(r"duplicity-inc\..*\.manifest\.gpg", name)]) == 1
    out = desk.folder / "out"
    desk.run("duplicity", desk.url, out, "--archive-dir", desk.folder / "cache")
    restored = out / str(desk.source).removeprefix("/")
    assert sorted(path.name for path in restored.iterdir()) == ["docs"]


def test_its_way_to_the_version_finds_one(desk: Desk) -> None:
    told = desk.run("sh", "-c", "duplicity --version | cut -d' ' -f2 | tr -cd '0-9.'").stdout
    assert told == "3.2.1"
