"""Ctrl-C at several moments: one line, exit code 4, no child left, and soon, whatever the other side does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers import ftp, rsync, ssh, webdav
from tests.servers.process import HOST
from tests.servers.proxy import Fault, Proxy, proxied
from tests.support.programs import Program, Workspace
from tests.support.tally import Tried, tally
from tests.support.tools import require_tool

HANG = 10.0
"""Seconds. Two are promised to people with a machine of their own; this only finds what waits for a time-out."""
PATIENCE = 60.0
STALLED_AFTER = 300_000
SIZE = 6_000_000
QUICK = ("--gpg-options=--s2k-count=65536", "--volsize", "1")


@pytest.fixture
def space(workspace: Workspace) -> Workspace:
    os.mkdir(workspace.path("source"))
    Path(os.fsdecode(workspace.path("source", "big"))).write_bytes(os.urandom(SIZE))
    return workspace.with_passphrase("a passphrase")


def _interrupted(
    space: Workspace, twofold: Program, words: tuple[str | bytes, ...], *, when: Callable[[], object]
) -> bytes:
    """Runs until `when` and then presses Ctrl-C: gives what stands in standard output."""
    with (
        Path(os.fsdecode(space.path("said"))).open("w+b") as said,
        Path(os.fsdecode(space.path("complaints"))).open("w+b") as complaints,
        subprocess.Popen(
            space.command(twofold, words),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=complaints,
            cwd=space.folder,
            env=space.environment(twofold),
            start_new_session=True,
        ) as process,
    ):
        try:
            _wait_until(when, process)
            process.send_signal(signal.SIGINT)
            process.wait(HANG)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        texts = []
        for stream in (said, complaints):
            stream.seek(0)
            texts.append(stream.read())
    stdout, stderr = texts
    assert (process.returncode, stderr) == (4, b""), stdout + stderr
    assert stdout.count(b"\nInterrupted. Earlier backups are as they were; ") == 1
    assert stdout.splitlines()[-1].startswith(b"Interrupted. ")
    assert b"Traceback" not in stdout
    assert _left(space) == []
    assert os.listdir(space.path("tmp")) == []
    tally(Tried.INTERRUPTS)
    return stdout


def _wait_until(when: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while not when():
        assert process.poll() is None, "it has ended before"
        assert time.monotonic() < end
        time.sleep(0.005)


def _left(space: Workspace) -> list[bytes]:
    """The programs that the run has left, known by their variables. gpg's agent stays, as it should."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            variables, command = (Path(f"/proc/{name}/{what}").read_bytes() for what in ("environ", "cmdline"))
            if space.folder + b"/" in variables and not command.startswith(b"gpg-agent"):
                found.append(command)
    return found


def _goes_on(space: Workspace, twofold: Program, words: tuple[str | bytes, ...], *options: str) -> None:
    """The same command, when the trouble is over, makes a whole backup."""
    space.run(twofold, *words).expect()
    space.run(twofold, "verify", "--compare-data", words[2], space.path("source"), *options).expect()


def test_while_it_walks(space: Workspace, twofold: Program) -> None:
    for number in range(3000):
        Path(os.fsdecode(space.path("source", f"{number:04d}"))).touch()
    words = ("full", space.path("source"), space.url(), *QUICK, "-v9")
    said = Path(os.fsdecode(space.path("said")))
    _interrupted(space, twofold, words, when=lambda: b"0003" in said.read_bytes())
    _goes_on(space, twofold, words)


def test_while_gpg_does_not_come_back(space: Workspace, twofold: Program) -> None:
    gpg, begun = require_tool("gpg"), Path(os.fsdecode(space.path("begun")))
    stubborn = Path(os.fsdecode(space.path("stubborn")))
    stubborn.write_text(f'#!/bin/sh\ncase "$*" in *--version*) exec {gpg} "$@";; esac\n: > {begun}\nexec sleep 300\n')
    stubborn.chmod(0o700)
    words = ("full", space.path("source"), space.url(), *QUICK)

    def all_have_begun() -> bool:
        return begun.exists() and time.time() - begun.stat().st_mtime > 0.5

    _interrupted(space, twofold, (*words, "--gpg-binary", str(stubborn)), when=all_have_begun)
    _goes_on(space, twofold, words)


Service = Callable[[ExitStack, Workspace], tuple[Proxy, str, tuple[str, ...]]]


def _ftp(stack: ExitStack, space: Workspace) -> tuple[Proxy, str, tuple[str, ...]]:
    """The connections for data stall, as they carry the load."""
    running = stack.enter_context(ftp.pyftpdlib(told_address="127.0.0.2"))
    control, *others = (stack.enter_context(proxied(port, ("127.0.0.2", port))) for port in running.ports)
    for other in others:
        other.weather = control.weather
    space.extra_variables["FTP_PASSWORD"] = ftp.PASSWORD
    return control, f"ftp://{ftp.USER}@127.0.0.2:{running.port}/docs", ()


def _sftp(stack: ExitStack, space: Workspace, scheme: str = "sftp") -> tuple[Proxy, str, tuple[str, ...]]:
    proxy = stack.enter_context(proxied(stack.enter_context(ssh.rclone_sftp())))
    space.extra_variables["BACKEND_PASSWORD"] = ssh.PASSWORD
    known = f"-oStrictHostKeyChecking=accept-new -oUserKnownHostsFile={os.fsdecode(space.path('known'))}"
    return proxy, f"{scheme}://{ssh.USER}@{HOST}:{proxy.port}/docs", (f"--ssh-options={known}",)


def _openssh(stack: ExitStack, space: Workspace) -> tuple[Proxy, str, tuple[str, ...]]:
    return _sftp(stack, space, "pexpect+sftp")


def _webdav(stack: ExitStack, space: Workspace) -> tuple[Proxy, str, tuple[str, ...]]:
    proxy = stack.enter_context(proxied(stack.enter_context(webdav.nginx()).port))
    space.extra_variables["BACKEND_PASSWORD"] = webdav.PASSWORD
    return proxy, f"webdav://{webdav.USER}@{HOST}:{proxy.port}/docs", ()


def _rsync(stack: ExitStack, space: Workspace) -> tuple[Proxy, str, tuple[str, ...]]:
    proxy = stack.enter_context(proxied(stack.enter_context(rsync.rsyncd()).port))
    space.extra_variables["BACKEND_PASSWORD"] = rsync.PASSWORD
    return proxy, f"rsync://{rsync.USER}@{HOST}:{proxy.port}::{rsync.MODULE}/docs", ()


@pytest.fixture(params=[_ftp, _sftp, _openssh, _webdav, _rsync])
def service(request: pytest.FixtureRequest, space: Workspace) -> Iterator[tuple[Proxy, str, tuple[str, ...]]]:
    with ExitStack() as stack:
        yield request.param(stack, space)


def test_while_a_server_takes_no_more(
    space: Workspace, twofold: Program, service: tuple[Proxy, str, tuple[str, ...]]
) -> None:
    proxy, url, options = service
    words = ("full", space.path("source"), url, *QUICK, *options)
    weather = proxy.weather
    weather.fault, weather.after = Fault.STALL, STALLED_AFTER
    _interrupted(space, twofold, words, when=lambda: weather.broken)
    weather.fault = Fault.NONE
    _goes_on(space, twofold, words, *options)


def test_while_a_server_gives_no_more(
    space: Workspace, twofold: Program, service: tuple[Proxy, str, tuple[str, ...]]
) -> None:
    proxy, url, options = service
    weather = proxy.weather
    space.run(twofold, "full", space.path("source"), url, *QUICK, *options).expect()
    weather.fault, weather.after = Fault.STALL, STALLED_AFTER
    _interrupted(space, twofold, ("restore", url, space.path("out"), *options), when=lambda: weather.broken)
