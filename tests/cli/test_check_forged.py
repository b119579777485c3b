"""check: damage that looks like a sound archive, in signatures, manifests and what is missing altogether."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from tests.cli.scene import Scene, make_scene
from tests.cli.test_check import FULL, INCREMENT, MODES, REMEDY, check, file_at, forget, make_backups
from tests.cli.test_check_golden import opened as opened_golden
from tests.support.golden import Golden, all_goldens
from twofold.format.sigtar import read_members
from twofold.format.tar_reader import TarReader

opened = opened_golden
DUPLICITY = pytest.mark.parametrize(
    "golden", [each for each in all_goldens() if str(each) == "duplicity-3.2.1/plain"], ids=str
)


@pytest.fixture
def raw_backups(tmp_path: Path, utc: None) -> Scene:
    return make_backups(make_scene(tmp_path, ("--no-encryption", "--no-compression"), {}))


@pytest.fixture
def plain_backups(plain: Scene) -> Scene:
    return make_backups(plain)


def swap_sums(path: Path, entry: bytes) -> None:
    """The first two block sums of a path change places in an unwrapped signature file."""
    content = bytearray(path.read_bytes())
    (member,) = (each for each in read_members(TarReader(io.BytesIO(content))) if each.path == entry)
    step = 4 + int.from_bytes(content[member.data_offset + 8 : member.data_offset + 12], "big")
    at = member.data_offset + 12
    content[at : at + 2 * step] = content[at + step : at + 2 * step] + content[at : at + step]
    path.write_bytes(content)


# ---- signatures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", MODES)
@pytest.mark.parametrize("content", [b"", bytes(10240)])
@pytest.mark.parametrize("pattern", ["*full-sig*", "*new-sig*"])
def test_signatures_with_nothing_in_them_are_damaged(
    raw_backups: Scene, content: bytes, options: tuple[str, ...], pattern: str
) -> None:
    file_at(raw_backups, pattern).write_bytes(content)
    forget(raw_backups)
    _, last, errors = check(raw_backups, *options, expect=1)
    assert f"The signature file of {FULL if 'full' in pattern else INCREMENT}" in errors
    assert "there is nothing in it" in errors
    assert ", 1 damaged" in last


@DUPLICITY
@pytest.mark.parametrize("options", MODES)
def test_empty_signatures_of_duplicity_are_damaged_too(opened: Scene, golden: Golden, options: tuple[str, ...]) -> None:
    file_at(opened, "*full-sig*").write_bytes(bytes(10240))
    assert "there is nothing in it" in check(opened, *options, expect=1)[2]


@DUPLICITY
@pytest.mark.parametrize("options", MODES)
def test_signatures_of_another_backup_of_duplicitys_are_damaged(
    opened: Scene, golden: Golden, options: tuple[str, ...]
) -> None:
    first, second = sorted(opened.target.glob("*new-sig*"))
    first.write_bytes(second.read_bytes())
    lines, _, errors = check(opened, *options, expect=1)
    assert "signature file" in errors or any("signatures of its backup" in line for line in lines)


@DUPLICITY
def test_block_sums_of_duplicitys_are_compared(opened: Scene, golden: Golden) -> None:
    path = file_at(opened, "*full-sig*")
    members = read_members(TarReader(io.BytesIO(path.read_bytes())))
    entry = next(each.path for each in members if each.size >= 12 + 2 * 12)
    swap_sums(path, entry)
    check(opened)
    lines, last, _ = check(opened, "--read-data", expect=1)
    assert any("block signature is not that of its content" in line for line in lines)
    assert last.endswith(", 0 damaged, 1 path unsound.")


@pytest.mark.parametrize(("pattern", "entry"), [("*full-sig*", b"c1"), ("*full-sig*", b"big"), ("*new-sig*", b"big")])
def test_block_sums_are_compared_with_the_data(raw_backups: Scene, pattern: str, entry: bytes) -> None:
    swap_sums(file_at(raw_backups, pattern), entry)
    forget(raw_backups)
    lines, last, _ = check(raw_backups, "--read-data", expect=1)
    text = "\n".join(lines)
    assert f"processing {entry.decode()}" in text
    assert f"({FULL if 'full' in pattern else INCREMENT})" in text
    assert last.endswith(", 0 damaged, 1 path unsound.")


@pytest.mark.parametrize("options", MODES)
def test_signatures_whose_only_path_is_a_later_one_are_damaged(raw_backups: Scene, options: tuple[str, ...]) -> None:
    path = file_at(raw_backups, "*new-sig*")
    content = path.read_bytes()
    assert b"signature/big\0" in content
    forged = bytearray(content.replace(b"signature/big\0", b"signature/bih\0"))
    at = forged.index(b"signature/bih\0")
    checksum = int(forged[at + 148 : at + 154], 8) + 1
    forged[at + 148 : at + 154] = b"%06o" % checksum
    path.write_bytes(forged)
    forget(raw_backups)
    assert "one of the two is damaged or of another backup" in check(raw_backups, *options, expect=1)[2]


# ---- manifests -------------------------------------------------------------------------------------------------------


def change_ending(path: Path, *, volume: int) -> None:
    """The last byte of a volume's EndingPath is another one."""
    content = bytearray(path.read_bytes())
    at = content.index(b"EndingPath     ", content.index(b"Volume %d:" % volume)) + 15
    content[content.index(b" ", at) - 1] ^= 1
    path.write_bytes(content)


def test_the_last_path_of_a_manifest_must_be_that_of_the_signatures(plain_backups: Scene) -> None:
    change_ending(file_at(plain_backups, "*inc.*.manifest"), volume=1)
    forget(plain_backups)
    for options in MODES:
        assert "and the manifest with" in check(plain_backups, *options, expect=1)[2]


def test_with_the_data_read_each_volume_must_end_where_the_manifest_says(plain_backups: Scene) -> None:
    change_ending(file_at(plain_backups, "*full.*.manifest"), volume=1)
    forget(plain_backups)
    _, last, errors = check(plain_backups, "--read-data", expect=1)
    assert f"The manifest of {FULL} " in errors
    assert ", 1 damaged" in last


def test_a_manifest_that_differs_only_in_its_list_of_files_differs(plain_backups: Scene) -> None:
    path = file_at(plain_backups, "*full.*.manifest")
    path.write_bytes(path.read_bytes().replace(b"    new      big", b"    new      bif"))
    assert "it is not the same as the copy in the archive directory" in check(plain_backups, expect=1)[2]


@pytest.mark.parametrize("pattern", ["*full.*.manifest.gpg", "*new-sig*"])
def test_what_follows_the_end_of_an_encrypted_file_is_found(symmetric: Scene, pattern: str) -> None:
    backups = make_backups(symmetric)
    path = file_at(backups, pattern)
    for added in (b"x", bytes(100)):
        path.write_bytes(path.read_bytes() + added)
        assert f"{path.name}: bytes follow its end" in check(backups, expect=1)[2]


def test_what_follows_the_end_of_a_compressed_file_is_found(plain_backups: Scene) -> None:
    path = file_at(plain_backups, "*new-sig*")
    whole = path.read_bytes()
    for added in (b"more", b"\0"):
        path.write_bytes(whole + added)
        assert f"{path.name}: bytes follow its end" in check(plain_backups, expect=1)[2]
    path.write_bytes(gzip.compress(gzip.decompress(whole)[:512]) + gzip.compress(gzip.decompress(whole)[512:]))
    check(plain_backups)


# ---- what is gone ----------------------------------------------------------------------------------------------------


def remove(scene: Scene, *patterns: str) -> None:
    for pattern in patterns:
        file_at(scene, pattern).unlink()


NEWEST = ("*inc.*.manifest*", "*inc.*.vol1.*", "*new-sig*")


@pytest.mark.parametrize("options", [(), ("--time", "now"), ("--read-data",)])
@pytest.mark.parametrize(
    "patterns", [(NEWEST[0], NEWEST[2]), NEWEST, NEWEST[:2], NEWEST[:1]], ids=["metadata", "all", "data", "manifest"]
)
def test_a_set_that_is_known_here_is_missed_at_the_target(
    plain_backups: Scene, patterns: tuple[str, ...], options: tuple[str, ...]
) -> None:
    remove(plain_backups, *patterns)
    lines, last, errors = check(plain_backups, *options, expect=1)
    assert f"The manifest of {INCREMENT} is damaged: it is missing at the target" in errors
    assert "cleanup" not in errors + "".join(lines)
    assert REMEDY in lines
    assert last.endswith(", 1 damaged.")
    remaining = [path for path in plain_backups.target.iterdir() if "inc" in path.name or "new" in path.name]
    if len(patterns) > 1 and remaining:
        assert any(path.name in errors for path in remaining)
    forget(plain_backups)
    check(plain_backups, *options)


def test_without_a_passphrase_a_copy_that_cannot_be_read_is_none(symmetric: Scene) -> None:
    backups = make_backups(symmetric)
    (copy,) = backups.archive_dir.glob("duplicity-full.*.manifest")
    copy.write_bytes(b"")
    assert check(backups)[1].endswith("0 damaged.")
    scene = backups.with_only({"GNUPGHOME": backups.variables["GNUPGHOME"]})
    assert "Check complete" not in scene.run("check", scene.url, expect=30).stdout


def test_lost_paths_are_told_with_their_backup(plain_backups: Scene) -> None:
    remove(plain_backups, "*inc.*.vol1.*")
    lines, _, _ = check(plain_backups, "--read-data", expect=1)
    assert any(f"({INCREMENT})" in line and "processing big" in line for line in lines)
