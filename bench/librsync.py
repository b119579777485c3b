"""librsync through ctypes, for `kernel.py` to measure against: its documented job interface, nothing inside."""

from __future__ import annotations

import ctypes
import ctypes.util

_OUTPUT = 1 << 20
_DONE, _BLOCKED = 0, 1


class _Buffers(ctypes.Structure):
    """`rs_buffers_t`."""

    _fields_ = (
        ("next_in", ctypes.c_void_p),
        ("avail_in", ctypes.c_size_t),
        ("eof_in", ctypes.c_int),
        ("next_out", ctypes.c_void_p),
        ("avail_out", ctypes.c_size_t),
    )


class Librsync:
    """Signature and delta of bytes in memory, without any file between."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("rsync")
        if name is None:
            raise SystemExit("librsync is not installed: apt-get install rdiff")
        library = ctypes.CDLL(name)
        library.rs_sig_begin.restype = ctypes.c_void_p
        library.rs_sig_begin.argtypes = (ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)
        library.rs_loadsig_begin.restype = ctypes.c_void_p
        library.rs_loadsig_begin.argtypes = (ctypes.POINTER(ctypes.c_void_p),)
        library.rs_build_hash_table.argtypes = (ctypes.c_void_p,)
        library.rs_delta_begin.restype = ctypes.c_void_p
        library.rs_delta_begin.argtypes = (ctypes.c_void_p,)
        library.rs_free_sumset.argtypes = (ctypes.c_void_p,)
        library.rs_job_iter.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Buffers))
        library.rs_job_free.argtypes = (ctypes.c_void_p,)
        self._library = library
        version = ctypes.c_char.in_dll(library, "rs_librsync_version")
        self.version = ctypes.string_at(ctypes.addressof(version)).decode()

    def signature(self, content: bytes, *, kind: int, block_len: int, strong_len: int) -> int:
        """Returns the size of the signature."""
        return len(self.signature_bytes(content, kind=kind, block_len=block_len, strong_len=strong_len))

    def signature_bytes(self, content: bytes, *, kind: int, block_len: int, strong_len: int) -> bytes:
        return self._run(self._library.rs_sig_begin(block_len, strong_len, kind), content)

    def delta(self, signature: bytes, content: bytes) -> int:
        """Returns the size of the delta. The time includes loading the signature, as any use of it does."""
        sums = ctypes.c_void_p()
        self._run(self._library.rs_loadsig_begin(ctypes.byref(sums)), signature)
        self._check(self._library.rs_build_hash_table(sums))
        size = len(self._run(self._library.rs_delta_begin(sums), content))
        self._library.rs_free_sumset(sums)
        return size

    def _run(self, job: int, content: bytes) -> bytes:
        output = ctypes.create_string_buffer(_OUTPUT)
        source = ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p)
        buffers = _Buffers(source.value, len(content), 1, ctypes.addressof(output), _OUTPUT)
        made = []
        while True:
            result = self._library.rs_job_iter(job, ctypes.byref(buffers))
            made.append(ctypes.string_at(output, _OUTPUT - buffers.avail_out))
            buffers.next_out, buffers.avail_out = ctypes.addressof(output), _OUTPUT
            if result != _BLOCKED:
                break
        self._library.rs_job_free(job)
        self._check(result)
        return b"".join(made)

    @staticmethod
    def _check(result: int) -> None:
        if result != _DONE:
            raise RuntimeError(f"librsync failed with {result}")
