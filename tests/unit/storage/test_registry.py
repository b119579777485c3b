"""From a scheme to a driver."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from twofold.errors import GoneService, MissingLibrary, StorageError, UnsupportedScheme, UserError
from twofold.storage import registry
from twofold.storage.drivers.gio.store import GioStore
from twofold.storage.drivers.local import LocalStore
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.registry import SCHEMES, Form, Scheme, open_store
from twofold.storage.settings import StoreSettings
from twofold.storage.url import StorageUrl
from twofold.storage.wrappers.par2 import Par2Store

SETTINGS = StoreSettings()


class ThirdPartyDriver:
    """What a package of somebody else brings."""

    seen: tuple[StorageUrl, StoreSettings]

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> MemoryStore:
        cls.seen = url, settings
        return MemoryStore()


THIRD_PARTY = Scheme("moon", Form.HOST, driver=f"{__name__}:ThirdPartyDriver")


@pytest.fixture
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_selection: ())


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = importlib.metadata.EntryPoints(
        [
            importlib.metadata.EntryPoint("moon", f"{__name__}:THIRD_PARTY", "twofold.storage"),
            importlib.metadata.EntryPoint("wrong", f"{__name__}:SETTINGS", "twofold.storage"),
            importlib.metadata.EntryPoint("broken", "no_such_module:ROW", "twofold.storage"),
            importlib.metadata.EntryPoint("other", f"{__name__}:THIRD_PARTY", "another.group"),
        ]
    )
    monkeypatch.setattr(importlib.metadata, "entry_points", entries.select)


def test_a_file_url_opens_the_directory(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "seen").write_bytes(b"x")
    store = open_store(StorageUrl.parse(f"file://{tmp_path}/a%20b"), settings=SETTINGS)
    assert isinstance(store, LocalStore)
    assert [file.name for file in store.list()] == ["seen"]


def test_all_schemes_of_duplicity_are_known() -> None:
    """59 schemes of docs/cli.md section 5.2, two that only old settings and articles know, and some of ours."""
    assert len(SCHEMES) - len({"s3+http", "u1", "smb", "gs", "exec"} & SCHEMES.keys()) == 59
    assert {name for name, scheme in SCHEMES.items() if scheme.name != name} == set()


@pytest.mark.parametrize("name", sorted(SCHEMES))
def test_every_scheme_opens_or_says_why_not_in_one_line(name: str) -> None:
    url = StorageUrl.parse(f"{name}://user:secret@host/x")
    try:
        store = open_store(url, settings=SETTINGS)
    except (StorageError, UserError) as error:
        message = str(error)
        assert "\n" not in message
        assert "secret" not in message
    else:
        assert SCHEMES[name].driver
        store.close()


def test_a_driver_that_is_not_built_is_said_to_be_missing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.SCHEMES, "b2", Scheme("b2", Form.PLACE))
    with pytest.raises(UnsupportedScheme) as caught:
        open_store(StorageUrl.parse("b2://h/x"), settings=SETTINGS)
    assert str(caught.value) == (
        "scheme not supported in url: b2://h/x (b2 is not available in this version of twofold)"
    )


def test_a_prefix_puts_its_wrapper_around_the_rest_of_the_url() -> None:
    store = open_store(StorageUrl.parse("par2+par2+file:///x"), settings=SETTINGS)
    assert isinstance(store, Par2Store)
    assert isinstance(store.inner, Par2Store)
    assert isinstance(store.inner.inner, LocalStore)


def test_a_prefix_does_not_open_what_is_gone() -> None:
    with pytest.raises(GoneService, match="closed Amazon Drive"):
        open_store(StorageUrl.parse("par2+ad://x"), settings=SETTINGS)


def test_a_prefix_hides_no_unknown_scheme() -> None:
    with pytest.raises(UnsupportedScheme, match="scheme not supported"):
        open_store(StorageUrl.parse("par2+nonsense://x"), settings=SETTINGS)


def test_gio_needs_no_gio_for_folders_of_this_machine() -> None:
    """Déjà Dup names them so."""
    assert isinstance(open_store(StorageUrl.parse("gio+file:///x"), settings=SETTINGS), LocalStore)
    assert isinstance(open_store(StorageUrl.parse("gio+smb://h/x"), settings=SETTINGS), GioStore)


def test_a_gone_service_says_since_when_and_what_now() -> None:
    with pytest.raises(GoneService, match="Amazon closed Amazon Drive on 2023-12-31") as caught:
        open_store(StorageUrl.parse("ad://dir"), settings=SETTINGS)
    assert caught.value.exit_code == 50
    assert isinstance(caught.value, StorageError)


@pytest.mark.parametrize("name", ["hsi", "idrived", "mf", "slate", "sx"])
def test_schemes_that_lead_nowhere_say_what_to_use_instead(name: str) -> None:
    with pytest.raises(GoneService, match=r"use |reached with|back up to") as caught:
        open_store(StorageUrl.parse(f"{name}://host/x"), settings=SETTINGS)
    assert str(caught.value).startswith(f"{name}:// cannot be used: ")


@pytest.mark.parametrize(
    ("extra", "driver", "message"),
    [
        ("s3", "no_such_library:Store", "s3:// needs no_such_library: pip install 'twofold[s3]'"),
        ("s3", "no_such_library.part:Store", "s3:// needs no_such_library: pip install 'twofold[s3]'"),
        (
            "",
            "no_such_library:Store",
            "s3:// cannot be used: No module named 'no_such_library'; reinstall the package ",
        ),
    ],
)
def test_a_missing_library_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch, extra: str, driver: str, message: str
) -> None:
    monkeypatch.setitem(registry.SCHEMES, "s3", Scheme("s3", Form.PLACE, driver=driver, extra=extra))
    with pytest.raises(MissingLibrary) as caught:
        open_store(StorageUrl.parse("s3://bucket"), settings=SETTINGS)
    assert str(caught.value).startswith(message)
    assert caught.value.exit_code == 50


def test_a_library_that_does_not_load_is_to_be_upgraded(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_name: str) -> object:
        raise ImportError("cannot import name 'new' from 'boto3'", name="boto3")

    monkeypatch.setattr(importlib, "import_module", load)
    with pytest.raises(MissingLibrary) as caught:
        open_store(StorageUrl.parse("s3://bucket"), settings=SETTINGS)
    assert str(caught.value) == (
        "s3:// cannot be used: cannot import name 'new' from 'boto3'; pip install --upgrade 'twofold[s3]'"
    )


@pytest.mark.usefixtures("plugin")
class TestThirdParties:
    def test_an_entry_point_adds_a_scheme_with_its_own_grammar(self) -> None:
        url = StorageUrl.parse("moon://u:p@crater:7/x")
        assert (url.host, url.port, url.password) == ("crater", 7, "p")
        assert isinstance(open_store(url, settings=SETTINGS), MemoryStore)
        assert ThirdPartyDriver.seen == (url, SETTINGS)

    def test_an_entry_point_that_does_not_load_is_named(self) -> None:
        with pytest.raises(MissingLibrary, match="no_such_module:ROW does not load"):
            StorageUrl.parse("broken://x")

    def test_an_entry_point_of_another_kind_is_named(self) -> None:
        with pytest.raises(MissingLibrary, match=r"is no twofold\.storage\.registry\.Scheme"):
            StorageUrl.parse("wrong://x")

    def test_other_groups_are_not_asked(self) -> None:
        with pytest.raises(UnsupportedScheme):
            StorageUrl.parse("other://x")


def test_known_schemes_do_not_walk_over_installed_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_selection: str) -> None:
        raise AssertionError("importlib.metadata was asked")

    monkeypatch.setattr(importlib.metadata, "entry_points", refuse)
    for name in SCHEMES:
        StorageUrl.parse(f"{name}://h/x")


@pytest.mark.usefixtures("no_plugins")
def test_an_unknown_scheme_far_from_any_gets_no_suggestion() -> None:
    with pytest.raises(UnsupportedScheme) as caught:
        StorageUrl.parse("foo://bar/baz")
    assert str(caught.value) == "scheme not supported in url: foo://bar/baz (--help-urls lists those that are)"


def test_settings_show_no_secrets() -> None:
    shown = repr(StoreSettings(environment={"KEY": "secret"}, password="secret"))
    assert "secret" not in shown
