"""What a driver is told besides its URL: plain values, so that none looks at the command line or the environment."""

from __future__ import annotations

from collections.abc import Mapping

from twofold.model.value import field, value

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


@value
class StoreSettings:
    """What a driver gets besides the URL: the variables it may look at, the password found for it, seconds to wait."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    password: str | None = field(default=None, repr=False)
    timeout: float = 30.0
    options: ServiceOptions = ServiceOptions()
