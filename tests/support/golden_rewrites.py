"""Turns an unencrypted archive of today into one that an older or another writer would have made.

Only gzipped targets (`--no-encryption`) are rewritten. Volumes get their new hash in the manifest.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from tests.support.tools import require_tool

TIME = re.compile(r"\d{8}T\d{6}Z")


def to_gnu_dialect(target: Path, _sources: list[Path]) -> None:
    """What Python 2 and Python <= 3.7 wrote: `././@LongLink`, raw names, base-256 numbers (docs/format.md 14)."""
    for path in sorted(target.glob("*.gz")):
        _rewrite_tar(path, tarfile.GNU_FORMAT, lambda _name, data: data)
    _correct_hashes(target)


def to_rabin_karp_signatures(target: Path, sources: list[Path]) -> None:
    """Signatures as rdiff makes them with RabinKarp and BLAKE2; `sources` are copies of the source at each step."""
    for path, source in zip(sorted(target.glob("*.sigtar.gz"), key=_end_time), sources, strict=True):

        def replaced(name: str, data: bytes, source: Path = source) -> bytes:
            if not name.startswith("signature/"):
                return data
            return _rdiff_signature(source / name.removeprefix("signature/"), int.from_bytes(data[4:8], "big"))

        _rewrite_tar(path, tarfile.PAX_FORMAT, replaced)


def _rewrite_tar(path: Path, dialect: int, replaced: Callable[[str, bytes], bytes]) -> None:
    output = io.BytesIO()
    with (
        tarfile.open(path, "r:gz", errors="surrogateescape") as old,
        tarfile.open(fileobj=output, mode="w", format=dialect, errors="surrogateescape") as new,
    ):
        for member in old:
            file = old.extractfile(member) if member.isreg() else None
            data = replaced(member.name, file.read()) if file is not None else b""
            member.size = len(data)
            member.pax_headers = {}
            new.addfile(member, io.BytesIO(data))
    path.write_bytes(gzip.compress(output.getvalue(), mtime=0))


def _correct_hashes(target: Path) -> None:
    for manifest in target.glob("*.manifest"):
        stem = manifest.name.removesuffix("manifest")
        text = manifest.read_bytes()
        for volume in target.glob(f"{stem}vol*.difftar.gz"):
            number = volume.name.removeprefix(f"{stem}vol").split(".")[0].encode()
            digest = hashlib.sha1(volume.read_bytes()).hexdigest().encode()
            section = rb"(Volume " + number + rb":\n(?:    .*\n)*?    Hash SHA1 )[0-9a-f]{40}"
            text, count = re.subn(section, rb"\g<1>" + digest, text)
            assert count == 1, volume
        manifest.write_bytes(text)


def _rdiff_signature(path: Path, block_bytes: int) -> bytes:
    """RabinKarp, BLAKE2 and whole 32-byte sums, with the block length that the old signature had."""
    algorithms = ("--rollsum=rabinkarp", "--hash=blake2", f"--block-size={block_bytes}", "--sum-size=32")
    command = [require_tool("rdiff"), *algorithms, "signature", "--", str(path), "-"]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def _end_time(path: Path) -> str:
    return str(TIME.findall(path.name)[-1])
