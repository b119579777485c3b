import errno
import io
import os
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.ui.machine_log import LogUnavailable, MachineLog, quote_path, stanza
from twofold.ui.message import Audience, Level, Message, Sinks, info, notice, warning
from twofold.ui.terminal import OutputStream, Terminal, encode_for, page


class FixedClock:
    def now(self) -> float:
        return 1795322660.151


def terminal(
    *, verbosity: int = 3, clock: FixedClock | None = None, encoding: str = "utf-8", is_terminal: bool = False
):
    out, err = io.BytesIO(), io.BytesIO()
    streams = (OutputStream(file, encoding=encoding, is_terminal=is_terminal) for file in (out, err))
    return Terminal(*streams, verbosity=verbosity, clock=clock), out, err


def closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "wb")


def test_errors_go_to_standard_error_and_all_else_to_standard_output():
    made, out, err = terminal()
    for message in (notice("n"), warning("w"), Message(Level.ERROR, "e"), info("i")):
        made.tell(message)
    assert (out.getvalue(), err.getvalue()) == (b"n\nw\n", b"e\n")


def test_verbosity_filters_all_but_what_is_always_shown():
    made, out, _ = terminal(verbosity=0)
    made.tell(notice("n"))
    made.tell(Message(Level.INFO, "list", always=True))
    made.tell(Message(Level.ERROR, "only programs", audience=Audience.PROGRAMS))
    assert out.getvalue() == b"list\n"


def test_names_are_written_whatever_their_bytes():
    made, out, _ = terminal()
    made.tell(notice(os.fsdecode(b"caf\xe9 \xe2\x82\xac")))
    assert out.getvalue() == b"caf\xe9 \xe2\x82\xac\n"
    assert encode_for("ascii", "\u20ac") == b"\\u20ac"


EVIL = os.fsdecode(b"\x1b[31m\x07\x9b2J\r caf\xc3\xa9\ttab \xe9 \xc2\x9bK")


class Both(NamedTuple):
    """Two messages."""

    def text(self) -> str:
        return f"{EVIL}\n{EVIL}\n"

    def each(self) -> list[Message]:
        return [notice(EVIL), notice(EVIL)]


@pytest.mark.parametrize("clock", [None, FixedClock()])
def test_a_terminal_gets_nothing_that_it_would_obey(clock):
    made, out, err = terminal(is_terminal=True, clock=clock)
    made.tell(notice(EVIL))
    made.tell(Message(Level.ERROR, EVIL))
    made.tell_all(Both())
    shown = rb"\x1b[31m\x07\x9b2J\x0d" + b" caf\xc3\xa9\ttab \xe9 " + rb"\x9bK" + b"\n"
    assert out.getvalue().count(shown) == 3
    assert err.getvalue().endswith(shown)
    assert not set(out.getvalue() + err.getvalue()) & {0x1B, 0x07, 0x9B, 0x0D}


def test_what_is_no_terminal_gets_names_as_they_are():
    made, out, _ = terminal()
    made.tell(notice(EVIL))
    made.tell_all(Both())
    assert out.getvalue() == (os.fsencode(EVIL) + b"\n") * 3


@given(st.text(), st.sampled_from(["utf-8", "ascii", "latin-1"]))
def test_every_text_can_be_encoded(text, encoding):
    assert isinstance(encode_for(encoding, text), bytes)


def test_a_reader_that_went_away_is_no_error():
    with closed_pipe() as pipe:
        stream = OutputStream(pipe, encoding="utf-8")
        stream.write("lost\n", flush=True)
        assert stream.is_lost
        stream.write("more\n", flush=True)


def test_a_closed_standard_output_is_no_error():
    stream = OutputStream(None, encoding="utf-8")
    stream.write("x", flush=True)
    assert stream.is_lost


def test_timestamps_stand_before_the_first_line_only():
    made, out, _ = terminal(clock=FixedClock())
    made.tell(notice("a\nb"))
    first, second = out.getvalue().decode().splitlines()
    assert first[19:] == ",151 NOTICE a"
    assert first[:10] == "2026-11-22"
    assert second == "b"


def test_listings_are_flushed_at_the_end(tmp_path):
    path = tmp_path / "out"
    with path.open("wb") as file:
        made = Terminal(OutputStream(file, encoding="utf-8"), OutputStream(None, encoding="utf-8"))
        made.tell(Message(Level.INFO, "line", always=True))
        assert path.read_bytes() == b""
        made.finish()
        assert path.read_bytes() == b"line\n"


def test_a_long_text_is_printed_where_there_is_no_pager():
    made, out, err = terminal()
    page("text\n", made, pager=None)
    page("text\n", made, pager="no-such-pager-here -x")
    assert out.getvalue() == b"text\ntext\n"
    assert b"no-such-pager-here" in err.getvalue()


def test_a_stanza_has_level_code_text_and_an_empty_line():
    assert stanza(notice("a\n\nb")) == b"NOTICE 1\n. a\n. \n. b\n\n"
    assert stanza(Message(Level.INFO, "", code=2, extra="4097")) == b"INFO 2 4097\n\n"


def test_data_lines_stand_between_head_and_text():
    message = Message(Level.INFO, "t", code=3, data=("backend X", " full 20231204T221320Z 1 enc"))
    assert stanza(message) == b"INFO 3 \nbackend X\n full 20231204T221320Z 1 enc\n. t\n\n"


@pytest.mark.parametrize(
    ("path", "quoted"),
    [
        ("caf\xe9 \u20ac", r"'caf\xe9 \u20ac'"),
        ("it's here", r"'it\x27s here'"),
        ("new\nline\ttab\\", r"'new\nline\ttab\\'"),
        (b"\xff", r"'\udcff'"),
        ("\x01\U0001f600", r"'\x01\U0001f600'"),
        (b"", "'.'"),
    ],
)
def test_paths_are_quoted_as_readers_expect(path, quoted):
    assert quote_path(path) == quoted


@given(st.binary().filter(bool))
def test_quoted_paths_can_be_read_back(path):
    quoted = quote_path(path)
    assert "\n" not in quoted
    assert os.fsencode(quoted[1:-1].encode("ascii").decode("unicode_escape")) == path


def test_undecodable_names_do_not_make_a_stanza_disappear():
    assert stanza(notice(os.fsdecode(b"\xff"))) == b"NOTICE 1\n. \\udcff\n\n"


def test_the_log_is_written_to_every_target(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"before\n")
    reader, writer = os.pipe()
    log = MachineLog.open([writer], [os.fspath(path)])
    log.tell(notice("x"))
    log.tell(info("not wanted"))
    log.tell(Message(Level.ERROR, "people", audience=Audience.PEOPLE))
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b"NOTICE 1\n. x\n\n"
    assert path.read_bytes() == b"before\nNOTICE 1\n. x\n\n"
    log.close()


def test_a_program_that_went_away_does_not_end_the_log():
    kept = io.BytesIO()
    with closed_pipe() as broken:
        log = MachineLog([broken, kept])
        log.tell(notice("x"))
        log.tell(notice("y"))
    assert kept.getvalue() == b"NOTICE 1\n. x\n\nNOTICE 1\n. y\n\n"


def test_a_full_target_is_kept_in_mind_and_does_not_end_the_log_of_others():
    class FullAtLast(io.BytesIO):
        name = "log"

        def close(self) -> None:
            raise OSError(errno.EDQUOT, "Quota exceeded")

    kept, last = io.BytesIO(), FullAtLast()
    with open("/dev/full", "wb") as full:
        log = MachineLog([full, kept, last])
        log.tell(notice("x"))
        log.tell(notice("y"))
        assert kept.getvalue() == last.getvalue() == b"NOTICE 1\n. x\n\nNOTICE 1\n. y\n\n"
        log.close()
    found = [(name, error.errno) for name, error in log.lost]
    assert found == [("--log-file /dev/full", errno.ENOSPC), ("--log-file log", errno.EDQUOT)]


def test_targets_that_cannot_be_written_are_named(tmp_path):
    with pytest.raises(LogUnavailable, match="--log-file") as caught:
        MachineLog.open([], [os.fspath(tmp_path / "no" / "log")])
    assert caught.value.exit_code == 30
    with pytest.raises(LogUnavailable, match="--log-fd 987654"):
        MachineLog.open([987654], [])


def test_several_sinks_get_the_same():
    one, first, _ = terminal()
    two, second, _ = terminal()
    Sinks(one, two).tell(notice("x"))
    assert first.getvalue() == second.getvalue() == b"x\n"
