"""Names and numbers of users."""

import grp
import os
import pwd

from twofold.model.entry import Entry, Kind
from twofold.tree import owners
from twofold.tree.owners import Owners


def test_known_users_and_groups_go_both_ways():
    known = Owners()
    user, group = pwd.getpwuid(os.getuid()), grp.getgrgid(os.getgid())
    assert known.user_name(user.pw_uid) == os.fsencode(user.pw_name)
    assert known.group_name(group.gr_gid) == os.fsencode(group.gr_name)
    assert known.user_id(os.fsencode(user.pw_name), 77) == user.pw_uid
    assert known.group_id(os.fsencode(group.gr_name), 77) == group.gr_gid


def test_the_unknown_has_no_name_and_the_number_that_is_given():
    known = Owners()
    for number in (3_999_999_999, 2**40, -5):
        assert known.user_name(number) == b""
        assert known.group_name(number) == b""
    for name in (b"", b"no such name", b"\xff\xfe", b"a\0b"):
        assert known.user_id(name, 77) == 77
        assert known.user_id(name, 78) == 78
        assert known.group_id(name, 77) == 77


def test_each_is_looked_up_once(monkeypatch):
    calls = []
    monkeypatch.setattr(pwd, "getpwnam", lambda name: calls.append(name) or pwd.getpwuid(0))
    known = Owners()
    for _ in range(3):
        assert known.user_id(b"somebody", 77) == 0
    assert calls == ["somebody"]


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(owners, "REMEMBERED", 3)
    known = Owners()
    for number in range(3_000_000_000, 3_000_000_020):
        known.user_name(number)
        assert len(known._user_names) <= 3


def test_an_entry_belongs_to_the_user_of_that_name():
    entry = Entry(Kind.REGULAR, uid=1234, gid=2345, uname=b"root", gname=b"no such group")
    assert Owners().ids_of(entry) == (0, 2345)
