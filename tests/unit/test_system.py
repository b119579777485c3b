"""What the operating system is asked for beside files."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys

import pytest

from twofold import system

LARGE = 1 << 20


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's limits follow what is freed")
def test_large_blocks_that_come_and_go_are_asked_of_the_system_once() -> None:
    system.keep_freed_memory()
    faults = []
    for _ in range(20):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        blocks = [b"x" * LARGE for _ in range(3)]
        del blocks
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    assert sum(faults[1:]) < 3 * LARGE // 4096, "as much as for a single round"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shields memory")
def test_a_shielded_process_leaves_no_image_of_its_memory_and_may_be_opened_again() -> None:
    """In a child, since a shield on the process of the tests would stay."""
    script = """
import ctypes, resource
from twofold import system
dumpable = lambda: ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
system.forbid_core_dumps()
system.shield_memory()
print(resource.getrlimit(resource.RLIMIT_CORE)[0], dumpable())
system.shield_memory(shielded=False)
print(dumpable())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "0", "1"]


def test_connections_are_shut_under_those_who_wait_and_listeners_go_on() -> None:
    """In a child: here it would be the connections of other tests."""
    script = """
import socket
from twofold import system
listener = socket.create_server(("127.0.0.1", 0))
near, far = socket.create_connection(listener.getsockname()), listener.accept()[0]
pair = socket.socketpair()
system.shut_connections()
pair[0].send(b"x")
print(near.recv(1), far.recv(1), pair[1].recv(1))
socket.create_connection(listener.getsockname()).close()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "b'' b'' b'x'\n"
