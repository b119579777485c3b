"""What the operating system offers beyond Python's portable part, with what to do where it is missing.

Nothing here decides anything about backups; every function says what happens on a system without the facility.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time

HAS_XATTRS = hasattr(os, "listxattr")
HAS_HOLES = hasattr(os, "SEEK_HOLE")
HAS_REFLINKS = sys.platform == "linux"
# Without /proc (some chroots) there are no paths that lead through a descriptor.
HAS_DESCRIPTOR_PATHS = hasattr(os, "O_PATH") and os.path.isdir("/proc/self/fd")

# lseek: behind the end or nothing more; not known to this file system.
_NOTHING_THERE = frozenset({errno.ENXIO, errno.EINVAL, errno.EOPNOTSUPP})
_MOVED_AT_ONCE = 1 << 20
_LET_IT_FILL = 0.0005
_LARGEST_KEPT = 16 << 20  # twice as much is kept
_FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
_PR_SET_DUMPABLE = 4  # linux/prctl.h

# ---- pipes and scratch files ----------------------------------------------------------------------------------------


def enlarge_pipe(descriptor: int, size: int) -> None:
    """Lets a pipe hold `size` bytes; where that is refused or unknown it stays as it is, which costs only time."""
    import fcntl

    command = getattr(fcntl, "F_SETPIPE_SZ", None)
    if command is None:
        return
    try:
        fcntl.fcntl(descriptor, command, size)
    except OSError:
        pass  # more than fs.pipe-max-size, or this user's share of pipe pages is used up


def move_from_pipe(source: int, target: int, count: int | None) -> int:
    """Moves `count` bytes out of a pipe into a file, all to the end for None; gives how many there were.

    Where the system can it does so itself, without a copy of ours. Raises OSError.
    """
    moved = 0
    while count is None or moved < count:
        size = _MOVED_AT_ONCE if count is None else min(_MOVED_AT_ONCE, count - moved)
        # Whoever writes does so by 8 KiB or so; taking each piece at once would cost more than the work on it.
        time.sleep(_LET_IT_FILL)
        done = _splice(source, target, size)
        if done is None:
            piece = os.read(source, size)
            done = len(piece)
            while piece:
                piece = piece[os.write(target, piece) :]
        if not done:
            break
        moved += done
    return moved


def _splice(source: int, target: int, size: int) -> int | None:
    """Bytes moved by the system, None where it cannot do that between these two."""
    splice = getattr(os, "splice", None)
    if splice is None:
        return None
    try:
        return int(splice(source, target, size))
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOSYS}:
            raise
        return None


def scratch_file(directory: str) -> int:
    """A descriptor for reading and writing of a new file that nobody else can open and that vanishes when closed."""
    flag = getattr(os, "O_TMPFILE", 0)
    if flag:
        try:
            return os.open(directory, os.O_RDWR | os.O_CLOEXEC | flag, 0o600)
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}:
                raise
    path = scratch_name(directory)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    return descriptor


def free_bytes(directory: str) -> int | None:
    """What still fits on the file system of a directory, None where that cannot be known."""
    try:
        found = os.statvfs(directory)
    except (AttributeError, OSError):
        return None
    return found.f_bavail * found.f_frsize


def scratch_name(directory: str) -> str:
    """A path in `directory` that nobody else will choose."""
    return os.path.join(directory, f"twofold-{os.urandom(10).hex()}")


# ---- locks -----------------------------------------------------------------------------------------------------------


def lock_at_once(descriptor: int) -> bool:
    """Takes an exclusive POSIX record lock on a whole file, as duplicity does; False when another process has it.

    The lock goes with the process, however it ends. Where the system has no such locks, True: nobody else has one.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EAGAIN}:
            return False
        raise
    return True


def open_files_limit(wanted: int) -> None:
    """Raises this process's limit of open files towards `wanted`, as far as it may."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


# ---- secrets in memory -----------------------------------------------------------------------------------------------


def forbid_core_dumps() -> None:
    """A crash of this process or a child leaves no image of its memory, which holds people's files and passphrases."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def shield_memory(*, shielded: bool = True) -> None:
    """Closes memory, variables and descriptors of this process to debuggers and all else but root, or opens them again.

    So no crash handler gets them either, whatever the limit of core dumps. Children begin open. Linux only; elsewhere,
    or where the system refuses, nothing changes.
    """
    if sys.platform != "linux":
        return
    import ctypes

    try:
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, ctypes.c_ulong(not shielded), 0, 0, 0)
    except (OSError, AttributeError):
        pass  # a C library without it


# ---- connections -----------------------------------------------------------------------------------------------------


def shut_connections() -> None:
    """Ends every TCP connection of this process: who waits at one gets its end or an error, whatever library he is in.

    Descriptors stay open and keep their meaning; listening sockets go on. Without /proc nothing changes.
    """
    import socket

    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return
    for number in numbers:
        try:
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as connection:
                inet = connection.family in (socket.AF_INET, socket.AF_INET6)
                if inet and not connection.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed meanwhile, or never connected


# ---- extended attributes ---------------------------------------------------------------------------------------------


def list_xattrs(target: int | bytes, *, follow: bool = False) -> list[bytes]:
    """Names of all extended attributes that the user may see; empty where the file system has none. Raises OSError."""
    if not HAS_XATTRS:
        return []
    try:
        # A descriptor is refused together with follow_symlinks=False.
        names = os.listxattr(target, follow_symlinks=follow or isinstance(target, int))
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
            return []
        raise
    return [os.fsencode(name) for name in names] if names else []


def get_xattr(target: int | bytes, name: bytes, *, follow: bool = False) -> bytes:
    """One value. Raises OSError."""
    if not HAS_XATTRS:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    return os.getxattr(target, name, follow_symlinks=follow or isinstance(target, int))


def set_xattr(target: int | bytes, name: bytes, value: bytes) -> None:
    """Sets one attribute, never through a symlink. Raises OSError, ValueError for a NUL in the name."""
    if not HAS_XATTRS:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    os.setxattr(target, name, value, follow_symlinks=isinstance(target, int))


# ---- files that must not be opened -----------------------------------------------------------------------------------


def path_below(dir_fd: int, name: bytes) -> bytes | None:
    """A path to `name` in an opened directory, for the calls that take no directory descriptor; None if impossible."""
    return b"/proc/self/fd/%d/%b" % (dir_fd, name) if HAS_DESCRIPTOR_PATHS else None


def change_mode(name: bytes, mode: int, *, dir_fd: int) -> None:
    """Changes the mode of something that must not be opened (fifo, device), not of what a symlink points to.

    Raises OSError. Linux has no fchmodat() that spares symlinks, hence the detour over a descriptor.
    """
    if not HAS_DESCRIPTOR_PATHS:
        os.chmod(name, mode, dir_fd=dir_fd, follow_symlinks=os.chmod not in os.supports_follow_symlinks)
        return
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        if stat.S_ISLNK(os.fstat(fd).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        os.chmod(b"/proc/self/fd/%d" % fd, mode)
    finally:
        os.close(fd)


# ---- blocks of files: shared ones and holes --------------------------------------------------------------------------


def clone_file(source_fd: int, target_fd: int) -> bool:
    """Lets an empty file share all blocks of another (reflink); False where that is impossible and a copy is due."""
    if not HAS_REFLINKS:
        return False
    import fcntl

    try:
        fcntl.ioctl(target_fd, _FICLONE, source_fd)
    except OSError:
        return False
    return True


def next_hole(fd: int, offset: int) -> int | None:
    """Where the first hole at or after `offset` begins; the end of the file counts as one. Moves the position.

    None where holes cannot be asked for, or `offset` lies behind the end. Raises OSError.
    """
    if not HAS_HOLES:
        return None
    try:
        return os.lseek(fd, offset, os.SEEK_HOLE)
    except OSError as error:
        if error.errno not in _NOTHING_THERE:
            raise
        return None


def next_data(fd: int, offset: int) -> int | None:
    """Where the first data at or after `offset` begins; None if there is none. Moves the position.

    Raises OSError.
    """
    if not HAS_HOLES:
        return None
    try:
        return os.lseek(fd, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno not in _NOTHING_THERE:
            raise
        return None


# ---- processors ------------------------------------------------------------------------------------------------------


def usable_processors() -> int:
    """How many processors this process may run on; all that there are where the system does not say."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


# ---- memory ---------------------------------------------------------------------------------------------------------


def keep_freed_memory() -> None:
    """Lets this process keep up to 32 MiB that it has freed, instead of asking for each large block anew.

    Where blocks of 1 MiB come and go, that saves 256 page faults a block. glibc's limits follow the largest block that
    has been freed (mallopt(3), M_MMAP_THRESHOLD); this one is never touched, so it costs nothing. Elsewhere nothing
    changes.
    """
    block = bytes(_LARGEST_KEPT)  # from calloc; a bytearray would be filled with zeros page by page
    del block
