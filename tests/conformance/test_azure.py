"""The Azure driver beside Azurite."""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError
from azure.core.pipeline.transport import HttpTransport
from azure.storage.blob import ContainerClient, StandardBlobTier
from requests.exceptions import SSLError

from tests.servers import azure
from tests.servers.gcs import fake_gcs
from tests.servers.process import free_ports
from tests.servers.proxy import Fault, Proxy, proxied
from twofold.errors import (
    AlreadyExists,
    Forbidden,
    Incomplete,
    InvalidUrl,
    NeedsWarmUp,
    NoPlace,
    NotFound,
    Retained,
    StorageError,
    Unavailable,
    Unsupported,
    Untrusted,
)
from twofold.model.backup import FileRole
from twofold.model.value import replace
from twofold.storage import local_files
from twofold.storage.drivers.azure.faults import translated
from twofold.storage.drivers.azure.login import Login, container_client, login
from twofold.storage.drivers.azure.store import AzureStore, tier_of
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.store import DigestName, Key, Operation, Store, Warmth
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import LARGE, Files, Interruption, interrupt, key, listed, put
from twofold.storage.url import StorageUrl

MIB = 1 << 20


def settings_for(port: int, **options: object) -> StoreSettings:
    variables = {"AZURE_CONNECTION_STRING": azure.connection_string(port)}
    return StoreSettings(environment=variables, timeout=10.0, options=replace(ServiceOptions(), **options))


def open_store(settings: StoreSettings, folder: str, container: str = "backups") -> AzureStore:
    return AzureStore.from_url(StorageUrl.parse(f"azure://{container}/{folder}"), settings)


def client_of(port: int, container: str = "backups") -> ContainerClient:
    return container_client(container, settings_for(port), largest_put=MIB, transfers=2)


@pytest.fixture(scope="module")
def azurite() -> Iterator[int]:
    with azure.azurite() as running:
        yield running.port


@pytest.fixture
def folder() -> str:
    return f"place/{uuid.uuid4()}"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local")


class TestAzureOnAzurite(StoreConformance):
    unspeakable = frozenset({"back\\slash"})

    @pytest.fixture
    def place(self, azurite: int, folder: str) -> Callable[[], Store]:
        return lambda: open_store(settings_for(azurite), folder)


class TestContainer:
    def test_it_is_made_by_the_first_file_only(self, azurite: int, files: Files) -> None:
        store = open_store(settings_for(azurite), "", container="made-" + uuid.uuid4().hex)
        assert listed(store) == {}
        store.delete(key("a"))
        with pytest.raises(NoPlace):
            store.stat(key("a"))
        put(store, files, "a", b"content")
        assert listed(store) == {"a": 7}

    def test_an_exclusive_creation_makes_it_too(self, azurite: int) -> None:
        store = open_store(settings_for(azurite), "", container="made-" + uuid.uuid4().hex)
        store.create(key("lock"), b"x")
        with pytest.raises(AlreadyExists):
            store.create(key("lock"), b"x")

    def test_a_name_that_azure_does_not_take_is_explained(self, azurite: int, files: Files) -> None:
        with pytest.raises(StorageError, match="3 to 63 of a-z"):
            put(open_store(settings_for(azurite), "", container="Not_allowed"), files, "a", b"")

    def test_a_place_without_one_is_refused(self) -> None:
        with pytest.raises(InvalidUrl, match="No bucket or container"):
            open_store(settings_for(1), "", container="")


class TestLargeFiles:
    @pytest.fixture
    def store(self, azurite: int, folder: str) -> Iterator[AzureStore]:
        sizes = {"azure_max_single_put_size_bytes": MIB, "azure_max_block_size_bytes": 2 * MIB}
        opened = open_store(settings_for(azurite, **sizes), folder)
        yield opened
        opened.close()

    def test_a_file_in_parts_arrives_whole(self, store: AzureStore, files: Files) -> None:
        content = os.urandom(9 * MIB)
        sent: list[int] = []
        assert store.put(key("a"), files.source(content), sent=sent.append).size == len(content)
        assert sent == [2 * MIB] * 4 + [MIB]
        assert files.fetched(store, "a") == content

    def test_an_interrupted_one_is_not_seen(self, store: AzureStore, files: Files) -> None:
        with pytest.raises(Interruption):
            store.put(key("a"), files.source(bytes(LARGE)), sent=interrupt)
        assert listed(store) == {}

    def test_parts_left_by_the_library_itself_are_no_hindrance(
        self, store: AzureStore, files: Files, folder: str, azurite: int
    ) -> None:
        """duplicity sends files with it, and names them so."""
        put(store, files, "other", b"")
        client_of(azurite).get_blob_client(f"{folder}/a").stage_block(f"{uuid.uuid4().int:048d}", b"left")
        put(store, files, "a", bytes(LARGE))
        assert listed(store) == {"a": LARGE, "other": 0}

    def test_a_file_replaced_while_it_is_read_is_no_mixture(self, store: AzureStore, files: Files) -> None:
        put(store, files, "a", bytes(9 * MIB))

        def replaced(_count: int) -> None:
            put(store, files, "a", b"x" * 9 * MIB)

        with pytest.raises(Unavailable):
            store.get(key("a"), files.target(), received=replaced)

    def test_small_files_carry_their_hash(self, store: AzureStore, files: Files) -> None:
        found = store.put(key("a"), files.source(b"content"))
        assert [*store.list()] == [store.stat(key("a"))] == [found]
        assert [digest.name for digest in found.digests] == [DigestName.MD5]

    def test_a_file_that_becomes_shorter_is_not_stored(
        self, azurite: int, folder: str, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(local_files, "open_source", lambda path, *_, **__: (os.open(path, os.O_RDONLY), 8))
        store = open_store(settings_for(azurite), folder)
        with pytest.raises(StorageError, match="shorter"):
            put(store, files, "a", b"content")
        assert listed(store) == {}

    def test_one_piece_is_never_larger_than_memory_allows(self) -> None:
        store = open_store(settings_for(1, azure_max_single_put_size_bytes=5000 * MIB), "")
        assert store._largest_put == 256 * MIB


class TestNames:
    def test_a_backslash_would_be_another_name(self, azurite: int, folder: str, files: Files) -> None:
        store = open_store(settings_for(azurite), folder)
        with pytest.raises(Unsupported, match="backslash"):
            put(store, files, "back\\slash", b"content")


class TestTiers:
    @pytest.fixture
    def store(self, azurite: int, folder: str) -> Iterator[AzureStore]:
        opened = open_store(settings_for(azurite, azure_blob_tier="archive"), folder)
        yield opened
        opened.close()

    def test_an_archived_volume_has_to_be_warmed_up_first(self, store: AzureStore, files: Files) -> None:
        put(store, files, "a", b"content")
        assert store.stat(key("a")).warmth is Warmth.COLD
        with pytest.raises(NeedsWarmUp, match="asked for first"):
            files.fetched(store, "a")
        assert store.warm_up([key("a")]).coming == (key("a"),)
        assert store.stat(key("a")).warmth is Warmth.WARM  # this server has no delay
        assert files.fetched(store, "a") == b"content"
        assert store.warm_up([key("a")]).warm == (key("a"),)

    def test_an_archived_volume_can_be_replaced(self, store: AzureStore, files: Files) -> None:
        """The service itself refuses: a backup that goes on after an interruption would be stuck."""
        put(store, files, "a", b"content")
        sent: list[int] = []
        assert store.put(key("a"), files.source(b"another"), sent=sent.append).size == 7
        assert sent == [7, -7, 7]
        assert store.stat(key("a")).warmth is Warmth.COLD

    def test_manifests_stay_warm(self, store: AzureStore, files: Files) -> None:
        manifest = Key(FileRole.MANIFEST, "m")
        store.put(manifest, files.source(b"content"))
        assert store.stat(manifest).warmth is Warmth.WARM

    @pytest.mark.parametrize(
        ("asked", "volume", "manifest"),
        [
            (None, None, None),
            ("Archive", StandardBlobTier.ARCHIVE, None),
            ("cool", StandardBlobTier.COOL, StandardBlobTier.COOL),
        ],
    )
    def test_tiers_follow_the_option(
        self, asked: str | None, volume: StandardBlobTier | None, manifest: StandardBlobTier | None
    ) -> None:
        options = ServiceOptions(azure_blob_tier=asked)
        assert tier_of(options, FileRole.VOLUME) is volume
        assert tier_of(options, FileRole.MANIFEST) is manifest

    def test_another_word_is_refused_at_once(self) -> None:
        with pytest.raises(InvalidUrl, match="Hot, Cool, Cold or Archive"):
            open_store(settings_for(1, azure_blob_tier="lukewarm"), "x")


class TestLogin:
    @pytest.mark.parametrize(
        ("variables", "found"),
        [
            ({"AZURE_CONNECTION_STRING": "c", "AZURE_ACCOUNT_NAME": "me"}, Login("c")),
            ({"AZURE_STORAGE_CONNECTION_STRING": "c"}, Login("c")),
            (
                {"AZURE_ACCOUNT_NAME": "me", "AZURE_ACCOUNT_KEY": "k"},
                Login(address="https://me.blob.core.windows.net", secret="k"),
            ),
            (
                {"AZURE_STORAGE_ACCOUNT": "me", "AZURE_STORAGE_SAS_TOKEN": "sv=1", "AZURE_ENDPOINT_SUFFIX": "core.x"},
                Login(address="https://me.blob.core.x", secret="sv=1"),
            ),
            ({"AZURE_ACCOUNT_NAME": "me"}, Login(address="https://me.blob.core.windows.net")),
        ],
    )
    def test_variables_say_who_we_are(self, variables: dict[str, str], found: Login) -> None:
        assert login(variables) == found

    def test_nothing_set_says_what_to_set(self) -> None:
        with pytest.raises(Forbidden, match="set AZURE_CONNECTION_STRING"):
            listed(open_store(StoreSettings(), "x"))

    def test_a_broken_string_is_not_repeated(self) -> None:
        settings = StoreSettings(environment={"AZURE_CONNECTION_STRING": "AccountKey=secret"})
        with pytest.raises(Forbidden, match="copy it anew") as caught:
            listed(open_store(settings, "x"))
        assert "secret" not in str(caught.value)

    def test_a_token_of_our_own_identity_is_asked_for_without_a_key(self) -> None:
        settings = StoreSettings(environment={"AZURE_ACCOUNT_NAME": "me"})
        client = container_client("backups", settings, largest_put=MIB, transfers=1)
        assert hasattr(client.credential, "get_token")


class TestTrouble:
    def test_a_wrong_key_is_refused(self, azurite: int, folder: str) -> None:
        wrong = azure.connection_string(azurite).replace(azure.KEY, base64.b64encode(b"wrong").decode())
        with pytest.raises(Forbidden, match="check the key"):
            listed(open_store(StoreSettings(environment={"AZURE_CONNECTION_STRING": wrong}), folder))

    def test_certificates_are_verified(self, folder: str) -> None:
        """Whoever answers: this one knows nothing of Azure, which is found out only if it is trusted."""
        with fake_gcs() as running:
            address = azure.connection_string(running.ports[1]).replace("http:", "https:")
            stranger = StoreSettings(environment={"AZURE_CONNECTION_STRING": address})
            with pytest.raises(Untrusted, match="--ssl-cacert-file"):
                listed(open_store(stranger, folder))
            known = ServiceOptions(ssl_cacert_file=str(running.folder.parent / "cert.pem"))
            for options in (known, ServiceOptions(ssl_no_check_certificate=True)):
                with pytest.raises(Unavailable, match="is this the service"):
                    open_store(replace(stranger, options=options), folder).stat(key("a"))

    def test_nobody_there_is_worth_another_try(self, folder: str) -> None:
        with pytest.raises(Unavailable):
            listed(open_store(settings_for(free_ports(1)[0]), folder))

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (ServiceRequestError("x", error=SSLError("self-signed")), Untrusted),
            (ClientAuthenticationError("no credential"), Forbidden),
            (AzureError("MD5 mismatch"), Incomplete),
            (HttpResponseError("broken off"), Unavailable),
            (OSError("gone"), Unavailable),
        ],
    )
    def test_errors_without_an_answer(self, error: AzureError, kind: type[StorageError]) -> None:
        assert type(translated(error, operation=Operation.GET, name="a", place="azure://c")) is kind

    def test_what_a_policy_keeps_is_retained(self) -> None:
        error = HttpResponseError("The blob is immutable")
        error.status_code, error.error_code = 409, "BlobImmutableDueToPolicy"  # type: ignore[attr-defined]
        assert type(translated(error, operation=Operation.DELETE, name="a", place="azure://c")) is Retained


@pytest.fixture
def proxy(azurite: int) -> Iterator[Proxy]:
    with proxied(azurite) as found:
        yield found


class TestBadNetwork:
    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT, Fault.STALL])
    def test_a_broken_put_leaves_nothing_and_can_be_repeated(
        self, proxy: Proxy, azurite: int, folder: str, files: Files, fault: Fault
    ) -> None:
        put(open_store(settings_for(azurite), folder), files, "other", b"")
        store = open_store(replace(settings_for(proxy.port), timeout=1.0), folder)
        proxy.weather.fault, proxy.weather.times = fault, 1
        source = files.source(bytes(LARGE))
        with pytest.raises(Unavailable):
            store.put(key("a"), source)
        with pytest.raises(NotFound):
            store.stat(key("a"))
        assert store.put(key("a"), source).size == LARGE

    def test_a_part_that_breaks_off_is_sent_again(
        self, proxy: Proxy, folder: str, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waits: list[float] = []
        monkeypatch.setattr(HttpTransport, "sleep", lambda _self, seconds: waits.append(seconds))
        sizes = {"azure_max_single_put_size_bytes": MIB, "azure_max_block_size_bytes": 2 * MIB}
        store = open_store(settings_for(proxy.port, **sizes), folder)
        listed(store)
        proxy.drop_connections()
        proxy.weather.fault, proxy.weather.times = Fault.RESET, 1
        content = os.urandom(LARGE)
        put(store, files, "a", content)
        assert (proxy.weather.hits, len(waits)) == (1, 1)
        assert files.fetched(store, "a") == content

    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT, Fault.STALL])
    def test_a_get_that_stays_broken_leaves_no_target(
        self, proxy: Proxy, folder: str, files: Files, fault: Fault
    ) -> None:
        put(open_store(settings_for(proxy.port), folder), files, "a", bytes(LARGE))
        store = open_store(replace(settings_for(proxy.port), timeout=0.3), folder)
        proxy.weather.fault = fault
        before = files.names()
        with pytest.raises(Unavailable):
            store.get(key("a"), files.target())
        assert files.names() == before

    def test_a_service_that_asks_for_a_pause_says_how_long(self, proxy: Proxy, folder: str) -> None:
        proxy.weather.fault, proxy.weather.retry_after = Fault.BUSY, "7"
        with pytest.raises(Unavailable) as caught:
            listed(open_store(settings_for(proxy.port), folder))
        assert caught.value.retry_after == 7
