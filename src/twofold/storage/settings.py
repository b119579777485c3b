"""What a driver is told besides its URL: plain values, so that none looks at the command line or the environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from twofold.model.value import field, value

if TYPE_CHECKING:
    from twofold.storage.store import Store

_MIB = 1 << 20


@value
class ServiceOptions:
    """The options of single services, named as on the command line with underscores; what they mean is said there.

    Sizes are in bytes. `tempdir` is where a driver may make files that it deletes itself.
    """

    azure_blob_tier: str | None = None
    azure_max_block_size_bytes: int | None = None
    azure_max_connections: int | None = None
    azure_max_single_put_size_bytes: int | None = None
    b2_hide_files: bool = False
    ftp_passive: bool = True
    imap_full_address: bool = False
    imap_mailbox: str = "INBOX"
    mp_segment_size_bytes: int = 5120 * _MIB
    rsync_options: str = ""
    par2_options: str = ""
    par2_redundancy: int = 10
    par2_volumes: int = 1
    s3_endpoint_url: str | None = None
    s3_kms_grant: str | None = None
    s3_kms_key_id: str | None = None
    s3_multipart_chunk_size_bytes: int = 20 * _MIB
    s3_multipart_max_procs: int = 4
    s3_region_name: str | None = None
    s3_unencrypted_connection: bool = False
    s3_use_deep_archive: bool = False
    s3_use_glacier: bool = False
    s3_use_glacier_ir: bool = False
    s3_use_ia: bool = False
    s3_use_onezone_ia: bool = False
    s3_use_rrs: bool = False
    s3_use_server_side_encryption: bool = False
    s3_use_server_side_kms_encryption: bool = False
    scp_command: str = "scp"
    sftp_command: str = "sftp"
    ssh_options: str = ""
    ssl_cacert_file: str | None = None
    ssl_cacert_path: str | None = None
    ssl_no_check_certificate: bool = False
    swift_storage_policy: str = ""
    tempdir: str | None = None
    webdav_headers: str = ""


def nobody_is_told(_warning: str) -> None:
    """The `warn` of whoever has nobody to tell."""


def as_it_is(store: Store) -> Store:
    """The `patient` of whoever tries nothing again."""
    return store


@value
class Rates:
    """The most bytes a second over all transfers, None for as many as there are."""

    upload: int | None = None
    download: int | None = None


@value
class StoreSettings:
    """What a driver gets besides the URL: the variables it may look at, the password found for it, seconds to wait.

    For stores made of others: `warn` takes what a person should know although the work goes on, in any thread;
    `patient` puts around each of several what tries again. `limited` puts around each that is no store made of others
    what holds it to the `rates`, which it has to know itself where a ByteCounter cannot hold it back.
    """

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    password: str | None = field(default=None, repr=False)
    timeout: float = 30.0
    options: ServiceOptions = ServiceOptions()
    warn: Callable[[str], None] = field(default=nobody_is_told, repr=False)
    patient: Callable[[Store], Store] = field(default=as_it_is, repr=False)
    limited: Callable[[Store], Store] = field(default=as_it_is, repr=False)
    rates: Rates = Rates()
