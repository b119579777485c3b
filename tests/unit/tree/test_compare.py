"""The first difference, in the order of the verify table."""

import pytest

from twofold.model.entry import Entry, Kind
from twofold.tree.compare import Aspect, difference
from twofold.tree.owners import Owners

SECOND = 10**9
FILE = Entry(Kind.REGULAR, 0o644, 1, 2, mtime_ns=5 * SECOND + 7, mtime_exact=True, size=3, xattrs=((b"user.a", b"1"),))


def aspect(found: Entry, expected: Entry, owners: Owners | None = None) -> Aspect | None:
    told = difference(found, expected, owners=owners)
    return None if told is None else told.aspect


@pytest.mark.parametrize("kind", list(Kind))
def test_what_is_the_same_does_not_differ(kind):
    entry = FILE._replace(kind=kind)
    assert difference(entry, entry, owners=None) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kind": Kind.FIFO}, Aspect.TYPE),
        ({"mode": 0o600}, Aspect.PERMISSIONS),
        ({"uid": 9}, Aspect.PERMISSIONS),
        ({"gid": 9}, Aspect.PERMISSIONS),
        ({"mtime_ns": 6 * SECOND}, Aspect.MTIME),
        ({"mtime_ns": 5 * SECOND + 8}, Aspect.MTIME),
        ({"mtime_ns": 5 * SECOND + 8, "mtime_exact": False}, None),
        ({"mtime_ns": 6 * SECOND, "mtime_exact": False}, Aspect.MTIME),
        ({"size": 4}, Aspect.SIZE),
        ({"size": None}, None),
        ({"xattrs": ()}, Aspect.XATTRS),
        ({"xattrs": ((b"user.a", b"2"),)}, Aspect.XATTRS),
        ({"mode": 0o600, "mtime_ns": 0, "size": 9, "xattrs": ()}, Aspect.PERMISSIONS),
        ({"mtime_ns": 0, "size": 9, "xattrs": ()}, Aspect.MTIME),
        ({"size": 9, "xattrs": ()}, Aspect.SIZE),
        ({"mode": 0o100644}, None),
        ({"inode": 9, "ctime_ns": 9, "uname": b"x", "holes": ((1, 2),)}, None),
    ],
)
def test_the_first_difference_of_a_file_is_told(changes, expected):
    assert aspect(FILE._replace(**changes), FILE) is expected


def test_symlinks_differ_by_their_text_alone():
    link = Entry(Kind.SYMLINK, 0o777, 1, 2, target=b"x")
    assert aspect(link._replace(uid=7, mtime_ns=8 * SECOND, mode=0), link) is None
    assert aspect(link._replace(target=b"x/"), link) is None
    assert aspect(link._replace(target=b"y"), link) is Aspect.TARGET


def test_devices_differ_by_number_and_owner_but_not_by_time():
    device = Entry(Kind.BLOCK_DEVICE, 0o600, 1, 2, device=(8, 1))
    assert aspect(device._replace(mtime_ns=8 * SECOND), device) is None
    assert aspect(device._replace(device=(8, 2)), device) is Aspect.DEVICE
    assert aspect(device._replace(mode=0o640), device) is Aspect.PERMISSIONS


def test_times_before_1970_are_one_time_for_duplicity():
    old = FILE._replace(mtime_exact=False, mtime_ns=0)
    assert aspect(FILE._replace(mtime_ns=-8 * SECOND), old) is None
    assert aspect(FILE._replace(mtime_ns=1 * SECOND), old) is Aspect.MTIME


def test_attributes_that_the_archive_cannot_know_do_not_differ():
    from_duplicity = FILE._replace(mtime_exact=False, xattrs=())
    assert aspect(FILE, from_duplicity) is None
    assert aspect(FILE, FILE._replace(xattrs=())) is Aspect.XATTRS


def test_owners_are_compared_by_name_and_told_as_numbers_of_this_machine():
    expected = FILE._replace(uid=77, uname=b"root")
    assert difference(FILE._replace(uid=0), expected, owners=Owners()) is None
    assert aspect(FILE._replace(uid=0), expected) is Aspect.PERMISSIONS
    told = difference(FILE._replace(uid=5), expected, owners=Owners())
    assert told is not None
    assert (told.found.uid, told.expected.uid) == (5, 0)
