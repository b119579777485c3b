"""All that the options can say, typed: what operations are told, after the command line has been read.

The fields are named after the options; sizes are in bytes and times in seconds whatever the option counts in, and say
so. The defaults stand here and nowhere else.
"""

from __future__ import annotations

from enum import Enum

from twofold.model.value import value

KIB = 1024
MIB = 1024 * 1024


class Rule(Enum):
    """Kinds of selection conditions; FILTER_* change how the patterns after them are read."""

    INCLUDE = "include"
    EXCLUDE = "exclude"
    INCLUDE_FILELIST = "include-filelist"
    EXCLUDE_FILELIST = "exclude-filelist"
    INCLUDE_REGEXP = "include-regexp"
    EXCLUDE_REGEXP = "exclude-regexp"
    EXCLUDE_DEVICE_FILES = "exclude-device-files"
    EXCLUDE_IF_PRESENT = "exclude-if-present"
    EXCLUDE_OLDER_THAN = "exclude-older-than"
    EXCLUDE_OTHER_FILESYSTEMS = "exclude-other-filesystems"
    FILES_FROM = "files-from"
    FILTER_GLOBBING = "filter-globbing"
    FILTER_LITERAL = "filter-literal"
    FILTER_REGEXP = "filter-regexp"
    FILTER_IGNORECASE = "filter-ignorecase"
    FILTER_STRICTCASE = "filter-strictcase"

    @property
    def names_file(self) -> bool:
        """Whether the argument is a list to read."""
        return self in (Rule.INCLUDE_FILELIST, Rule.EXCLUDE_FILELIST, Rule.FILES_FROM)


@value
class Condition:
    """One selection option as given; `instant` is the time of EXCLUDE_OLDER_THAN, in seconds since 1970."""

    rule: Rule
    argument: str = ""
    instant: int | None = None


class MetadataSync(Enum):
    """How much of the metadata is fetched into the cache."""

    PARTIAL = "partial"
    FULL = "full"


@value
class Options:
    """One field an option, a switch and its opposite share one.

    Times are seconds since 1970; `restore_time` None means now.
    """

    allow_source_mismatch: bool = False
    archive_dir: str | None = None
    asynchronous_upload: bool = False
    azure_blob_tier: str | None = None
    azure_max_block_size_bytes: int | None = None
    azure_max_connections: int | None = None
    azure_max_single_put_size_bytes: int | None = None
    b2_hide_files: bool = False
    backend_retry_delay_seconds: int = 30
    cf_backend: str = "pyrax"
    check_remote: bool = True
    compare_data: bool = False
    compression: bool = True
    compression_level: int | None = None
    concurrency: int = 0
    config_dir: str | None = None
    copy_blocksize_bytes: int = 128 * KIB
    copy_links: bool = False
    current_time: int | None = None
    dry_run: bool = False
    encrypt_keys: tuple[str, ...] = ()
    encrypt_secret_keyring: str | None = None
    encryption: bool = True
    file_changed: str | None = None
    file_prefix: str = ""
    file_prefix_archive: str = ""
    file_prefix_jsonstat: str = ""
    file_prefix_manifest: str = ""
    file_prefix_signature: str = ""
    files_changed: bool = True
    force: bool = False
    ftp_passive: bool = True
    full_if_n_inc: int | None = None
    full_if_older_than: int | None = None
    gio: bool = False
    gpg_binary: str | None = None
    gpg_options: tuple[str, ...] = ()
    hidden_encrypt_keys: tuple[str, ...] = ()
    idr_fakeroot: str | None = None
    ignore_errors: bool = False
    ignore_mdc_error: bool = False
    imap_full_address: bool = False
    imap_mailbox: str = "INBOX"
    json: bool = False
    jsonstat: bool = False
    limit_download_bytes: int | None = None
    limit_upload_bytes: int | None = None
    log_fds: tuple[int, ...] = ()
    log_files: tuple[str, ...] = ()
    log_timestamp: bool = False
    max_blocksize_bytes: int = 0
    metadata_sync_mode: MetadataSync = MetadataSync.PARTIAL
    mf_purge: bool = False
    mp_segment_size_bytes: int = 5120 * MIB
    name: str | None = None
    null_separator: bool = False
    num_retries: int = 5
    numeric_owner: bool = False
    par2_options: str = ""
    par2_redundancy: int = 10
    par2_volumes: int = 1
    path_to_restore: str | None = None
    print_statistics: bool = True
    progress: bool = False
    progress_rate_seconds: int = 3
    pydevd: bool = False
    renames: tuple[tuple[str, str], ...] = ()
    restore_ownership: bool = True
    restore_time: int | None = None
    read_data: bool = False
    rsync_options: str = ""
    s3_endpoint_url: str | None = None
    s3_kms_grant: str | None = None
    s3_kms_key_id: str | None = None
    s3_multipart_chunk_size_bytes: int = 20 * MIB
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
    sample_ppm: int | None = None
    scp_command: str = "scp"
    sftp_command: str = "sftp"
    show_changes_in_set: int | None = None
    sign_key: str | None = None
    skip_if_no_change: bool = False
    skip_volume: int = 0
    ssh_askpass: bool = False
    ssh_options: str = ""
    ssl_cacert_file: str | None = None
    ssl_cacert_path: str | None = None
    ssl_no_check_certificate: bool = False
    swift_storage_policy: str = ""
    tempdir: str | None = None
    time_separator: str = ":"
    timeout_seconds: int = 30
    timings: bool = False
    use_agent: bool = False
    use_gpgsm: bool = False
    use_scp: bool = False
    verbosity: int = 3
    volsize_bytes: int = 200 * MIB
    webdav_headers: str = ""
