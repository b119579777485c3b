"""The action validate-storage: table, exit codes, one line that tells what is in the way (docs/cli.md section 13)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.scene import Scene, fails, lines_of
from twofold.errors import Forbidden
from twofold.operations import validate_storage_findings
from twofold.storage import registry
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.registry import Form, Scheme
from twofold.storage.settings import StoreSettings
from twofold.storage.store import ByteCounter, Key, Operation, Store, StoredFile, StoreWrapper, ignore_bytes
from twofold.storage.testing.faulty import FaultyStore
from twofold.storage.url import StorageUrl

NOBODY = 65534
STEPS = [
    "list",
    "put",
    "look up",
    "get",
    "read a piece",
    "replace",
    "tell free space",
    "delete",
    "create once",
    "copy",
    "transfer megabytes",
    "transfer several at once",
]


def steps_of(text: str) -> dict[str, str]:
    """The rows of the table: what was tried, and the rest of the line."""
    rows = [line[2:] for line in lines_of(text) if line.startswith("  ")]
    return {name: row.removeprefix(name).strip() for name in STEPS for row in rows if row.startswith(name + "  ")}


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speed is measured with files that cost no time."""
    monkeypatch.setattr(validate_storage_findings, "_MOST_BYTES", validate_storage_findings.MIB)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Callable[[Store], str]:
    """Makes a store reachable from the command line; gives its URL."""

    def serve(store: Store) -> str:
        class Driver:
            @staticmethod
            def from_url(_url: StorageUrl, _settings: StoreSettings) -> Store:
                return store

        monkeypatch.setattr(registry, "_driver", lambda _scheme: Driver)
        monkeypatch.setitem(registry.SCHEMES, "moon", Scheme("moon", Form.HOST, driver="moon:Driver"))
        return "moon://me:secret@crater/x"

    return serve


@pytest.fixture
def as_nobody(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Lets the rest of the test run without root's rights; the directories above are opened for that."""
    if os.geteuid() != 0:
        yield lambda: None
        return
    opened = [path for path in (tmp_path, *tmp_path.parents) if not path.stat().st_mode & 0o001]
    modes = {path: path.stat().st_mode & 0o7777 for path in opened}
    for path in opened:
        path.chmod(modes[path] | 0o011)
    (tmp_path / "tmp").chmod(0o777)

    def become() -> None:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)

    yield become
    os.seteuid(0)
    os.setegid(0)
    for path, mode in modes.items():
        path.chmod(mode)


def test_a_directory_is_tried_out_and_left_as_it_was(plain: Scene) -> None:
    plain.target.mkdir()
    (plain.target / "mine").write_bytes(b"x")
    said = plain.run("validate-storage", plain.url).stdout
    assert lines_of(said)[0] == f"{plain.url}: 1 file there"
    assert lines_of(said)[-1] == "All that backups need works."
    rows = steps_of(said)
    assert list(rows) == STEPS
    assert all(row.startswith(("works", "put ")) for row in rows.values())
    assert plain.names() == ["mine"]
    assert not plain.archive_dir.exists()


def test_neither_passphrase_nor_gpg_is_needed(plain: Scene) -> None:
    scene = plain.with_settings("--gpg-binary", "/missing/gpg")
    assert scene.run("validate-storage", scene.url).stderr == ""


def test_a_dry_run_stores_nothing(plain: Scene) -> None:
    said = plain.run("validate-storage", plain.url, "--dry-run").stdout
    assert "Not tried: put, look up, get" in said
    assert "whether it can be written to was not tried" in said
    assert not plain.target.exists()


def test_a_directory_that_may_not_be_written_is_a_permission_that_is_missing(
    plain: Scene, as_nobody: Callable[[], None]
) -> None:
    plain.target.mkdir(mode=0o555)
    # All is loaded by then: not everywhere may nobody read Python's own files.
    plain.run("validate-storage", f"file://{plain.source}/big", expect=50)
    "".encode("unicode_escape")
    as_nobody()
    done = plain.run("validate-storage", plain.url, expect=50)
    assert steps_of(done.stdout)["list"].startswith("works")
    assert steps_of(done.stdout)["put"].startswith("not permitted")
    (line,) = lines_of(done.stderr)
    assert line.startswith("Giving up put of twofold-validation-")
    assert ": Permission: put failed at " in line
    assert line.endswith("Permission denied (check owner and permissions)")


def test_an_append_only_store_is_fine_and_it_is_said_what_needs_more(
    plain: Scene, served: Callable[[Store], str]
) -> None:
    class AppendOnly(StoreWrapper):
        def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
            if key.name in files:
                raise Forbidden("May not replace", name=key.name, operation="put")
            return self.inner.put(key, source, sent=sent)

        def delete(self, key: Key) -> None:
            raise Forbidden("May not delete", name=key.name, operation="delete")

    files: dict[str, bytes] = {}
    done = plain.run("validate-storage", served(AppendOnly(MemoryStore(files))))
    assert "Files can be stored there and not deleted. That is fine for backups" in done.stdout + done.stderr
    assert "can destroy them" not in done.stdout + done.stderr
    assert "".join(files) in done.stdout + done.stderr
    assert lines_of(done.stdout)[-1] == "All that backups need works."


def test_files_that_can_be_replaced_are_not_called_safe(plain: Scene, served: Callable[[Store], str]) -> None:
    kept = Forbidden("May not delete", operation="delete")
    done = plain.run(
        "validate-storage", served(FaultyStore(MemoryStore()).fail(Operation.DELETE, times=99, error=kept))
    )
    assert "Files can be replaced there, so whoever breaks into this machine can destroy them" in done.stdout


def test_a_refused_login_is_told_as_one_and_the_password_is_not(plain: Scene, served: Callable[[Store], str]) -> None:
    refused = Forbidden("me may not log in at crater", operation="list")
    url = served(FaultyStore(MemoryStore()).fail(Operation.LIST, error=refused))
    done = plain.run("validate-storage", url, expect=50)
    (line,) = lines_of(done.stderr)
    assert line.startswith("Giving up list of the target: Credentials: me may not log in at crater (see whether ")
    warning, place, *_ = lines_of(done.stdout)
    assert warning.endswith("Leave it out and set BACKEND_PASSWORD instead")
    assert place == "moon://me:*****@crater/x"
    assert "secret" not in done.stdout + done.stderr


def test_programs_read_the_kind_of_failure_in_the_log(plain: Scene, served: Callable[[Store], str]) -> None:
    refused = Forbidden("me may not log in at crater", operation="list")
    url = served(FaultyStore(MemoryStore()).fail(Operation.LIST, error=refused))
    log = plain.folder / "log"
    plain.run("validate-storage", url, "--log-file", str(log), expect=50)
    stanzas = log.read_text()
    assert "\nERROR 51 list\n" in stanzas
    assert "\nERROR 50 BackendException\n" in stanzas


def test_json_has_every_step(plain: Scene) -> None:
    found = json.loads(plain.run("validate-storage", plain.url, "--json").stdout)
    result = found["result"]
    assert (found["action"], found["error"], result["trouble"]) == ("validate-storage", None, None)
    assert [each["step"] for each in result["steps"]] == STEPS
    assert {each["standing"] for each in result["steps"]} == {"works"}
    assert (result["target"], result["files"], result["left"]) == (plain.url, 0, [])
    assert (result["transfers_at_once"], result["becomes_visible"], result["append_only"]) == (2, "rename", False)
    assert [each["files"] for each in result["speeds"]] == [1, 2]
    assert all(each["put_per_second"] > 0 < each["get_per_second"] for each in result["speeds"])


def test_json_tells_troubles_apart(plain: Scene, served: Callable[[Store], str]) -> None:
    store = FaultyStore(MemoryStore()).fail(Operation.PUT, error=Forbidden("May not write", operation="put"))
    found = json.loads(plain.run("validate-storage", served(store), "--json", expect=50).stdout)
    assert (found["error"]["name"], found["result"]["trouble"]) == ("Forbidden", "permission")
    assert found["result"]["steps"][1]["standing"] == "not permitted"
    assert found["result"]["steps"][1]["reason"] == "May not write"


def test_duplicity_has_no_such_action(plain: Scene) -> None:
    text = fails(plain.called("duplicity"), "validate-storage", plain.url, code=23, stanza="ERROR 23 CommandLineError")
    assert "validate-storage" in text
