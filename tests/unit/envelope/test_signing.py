"""What is learned from a detached signature."""

from __future__ import annotations

import pytest

from twofold.envelope import signing
from twofold.errors import EnvelopeError

KEY_ID = bytes(range(8))
FINGERPRINT = bytes(range(100, 120))


def signature(
    hashed: bytes = b"", unhashed: bytes = b"\x09\x10" + KEY_ID, *, version: int = 4, kind: int = 0, header: int = 0x88
) -> bytes:
    body = bytes((version, kind, 22, 8)) + len(hashed).to_bytes(2, "big") + hashed
    body += len(unhashed).to_bytes(2, "big") + unhashed + b"\x12\x34" + b"numbers"
    return bytes((header,)) + len(body).to_bytes({0x88: 1, 0x89: 2, 0x8A: 4}[header], "big") + body


@pytest.mark.parametrize("header", [0x88, 0x89, 0x8A])
def test_key_and_algorithms_are_read(header: int) -> None:
    signer = signing.signer_of(signature(header=header))
    assert signer == signing.Signer(hash_algorithm=8, key_algorithm=22, key_id=KEY_ID)
    assert signer.one_pass_packet() == b"\xc4\x0d\x03\x00\x08\x16" + KEY_ID + b"\x01"


def test_the_fingerprint_will_do_where_there_is_no_key_id() -> None:
    found = signing.signer_of(signature(b"\x05\x02time", b"\x16\x21\x04" + FINGERPRINT))
    assert found.key_id == FINGERPRINT[-8:]


def test_critical_and_long_subpackets_are_passed_over() -> None:
    long_one = b"\xc1\x00" + b"\x94" + bytes(447)
    longest = b"\xff\x00\x00\x00\x05" + b"\x14note"
    assert signing.signer_of(signature(long_one + longest, header=0x89)).key_id == KEY_ID


@pytest.mark.parametrize(
    "made",
    [
        b"",
        b"-----BEGIN PGP SIGNATURE-----",
        signature() + signature(),
        signature()[:-1],
        signature(version=3),
        signature(version=5),
        signature(kind=1),
        signature(unhashed=b""),
        signature(unhashed=b"\x00"),
        signature(b"\xff\xff\xff\xff\xff"),
    ],
)
def test_anything_else_is_refused(made: bytes) -> None:
    with pytest.raises(EnvelopeError):
        signing.signer_of(made)
