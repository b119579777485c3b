"""Connections that are kept, names of files in the making, and trusted certificates."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from twofold.errors import Forbidden, NotFound, Unavailable, UserError
from twofold.storage import connections
from twofold.storage.connections import LONGEST_IDLE, Connections
from twofold.storage.part_names import LONGEST_UPLOAD, PartNames, is_unfinished
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.tls import tls_context


class Line:
    """A connection that knows whether it has been ended."""

    open = True

    def end(self) -> None:
        self.open = False


@pytest.fixture
def lines() -> list[Line]:
    """All that were made."""
    return []


@pytest.fixture
def kept(lines: list[Line]) -> Connections[Line]:
    def connect() -> Line:
        lines.append(Line())
        return lines[-1]

    return Connections(connect, close=Line.end)


def use(kept: Connections[Line], error: BaseException | None = None) -> Line:
    with kept.borrowed() as line:
        if error is not None:
            raise error
        return line


class TestConnections:
    def test_one_is_used_again_and_a_second_one_made_only_while_it_is_at_work(self, kept: Connections[Line]) -> None:
        first = use(kept)
        with kept.borrowed() as outer, kept.borrowed() as inner:
            assert outer is first
            assert inner is not first

    def test_after_not_found_it_is_used_again(self, kept: Connections[Line], lines: list[Line]) -> None:
        with pytest.raises(NotFound):
            use(kept, NotFound("no"))
        assert use(kept) is lines[0]

    @pytest.mark.parametrize("error", [Forbidden("no"), KeyboardInterrupt(), ValueError()])
    def test_after_other_errors_it_is_ended(
        self, kept: Connections[Line], lines: list[Line], error: BaseException
    ) -> None:
        with pytest.raises(type(error)):
            use(kept, error)
        assert not lines[0].open
        assert use(kept) is lines[1]

    def test_when_one_breaks_the_idle_ones_are_ended_too(self, kept: Connections[Line], lines: list[Line]) -> None:
        with kept.borrowed(), kept.borrowed():
            pass
        with pytest.raises(Unavailable):
            use(kept, Unavailable("broken"))
        assert [line.open for line in lines] == [False, False]

    def test_one_that_was_idle_for_long_is_not_trusted(
        self, kept: Connections[Line], lines: list[Line], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [0.0]
        monkeypatch.setattr(connections, "monotonic", lambda: now[0])
        use(kept)
        now[0] = LONGEST_IDLE
        assert use(kept) is lines[1]
        assert not lines[0].open

    def test_closing_ends_those_at_work_when_they_come_back(self, kept: Connections[Line], lines: list[Line]) -> None:
        with kept.borrowed():
            kept.close()
            assert lines[0].open
        assert not lines[0].open


class TestPartNames:
    def test_names_of_living_processes_are_left_alone(self) -> None:
        names = PartNames()
        name = names.new()
        names.see([name, "duplicity-full.20261122T044630Z.vol1.difftar.gpg", ".twofold-part-other"])
        assert names.take_abandoned() == []
        assert is_unfinished(name)

    def test_names_of_dead_processes_are_taken_once(self) -> None:
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
        names = PartNames()
        dead = names.new().replace(f"-{os.getpid()}-", f"-{child}-")
        names.see([dead])
        assert names.take_abandoned() == [dead]
        assert names.take_abandoned() == []

    def test_names_of_other_machines_are_taken_after_a_week(self) -> None:
        clock = FakeClock()
        names = PartNames(clock)
        own = names.new().split("-")
        own[3] = "0" * 12
        foreign = "-".join(own)
        names.see([foreign])
        assert names.take_abandoned() == []
        clock.advance(LONGEST_UPLOAD + 1)
        names.see([foreign])
        assert names.take_abandoned() == [foreign]

    def test_what_was_given_up_is_taken(self) -> None:
        names = PartNames()
        names.abandon(name := names.new())
        assert names.take_abandoned() == [name]


class TestTls:
    def test_certificates_and_names_are_verified(self) -> None:
        context = tls_context(StoreSettings())
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)

    def test_verification_can_be_switched_off(self) -> None:
        context = tls_context(StoreSettings(options=ServiceOptions(ssl_no_check_certificate=True)))
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)

    @pytest.mark.parametrize("name", [".duplicity/cacert.pem", "duplicity_cacert.pem"])
    def test_duplicitys_own_places_are_looked_at(self, tmp_path: Path, name: str) -> None:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("no certificate")
        with pytest.raises(UserError, match=name):
            tls_context(StoreSettings(environment={"HOME": str(tmp_path)}))
