"""How the options want files to be stored: their class, and what encrypts them."""

from __future__ import annotations

from twofold.model.backup import FileRole
from twofold.storage.settings import ServiceOptions


def storage_class(options: ServiceOptions, role: FileRole) -> str:
    """The class for a file with this role, empty for the bucket's own; archives hold volumes only, first wins."""
    everything = (
        (options.s3_use_rrs, "REDUCED_REDUNDANCY"),
        (options.s3_use_ia, "STANDARD_IA"),
        (options.s3_use_onezone_ia, "ONEZONE_IA"),
    )
    volumes = (
        (options.s3_use_glacier, "GLACIER"),
        (options.s3_use_glacier_ir, "GLACIER_IR"),
        (options.s3_use_deep_archive, "DEEP_ARCHIVE"),
    )
    for wanted, name in (*everything, *volumes):
        if wanted:
            return name if (wanted, name) in everything or role is FileRole.VOLUME else ""
    return ""


def encryption(options: ServiceOptions) -> dict[str, str]:
    """What a request says of encryption by the service."""
    if options.s3_use_server_side_encryption:
        return {"ServerSideEncryption": "AES256"}
    if not options.s3_use_server_side_kms_encryption:
        return {}
    key = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": options.s3_kms_key_id or ""}
    return key | ({"GrantFullControl": options.s3_kms_grant} if options.s3_kms_grant else {})
