"""Keeps what a process has in memory from its machine's disks, and no more of it than is used.

Audio is in the clear in the memory of who records it, and nowhere else; a core dump or a swapped
page would be the plaintext file that there is not to be.
"""

from __future__ import annotations

import ctypes
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4
_MCL_CURRENT: Final = 1
_MCL_FUTURE: Final = 2
_MCL_ONFAULT: Final = 4
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
LARGE: Final = 1_048_576
"""Bytes: what is asked for in one piece, or free at the end of an arena."""
ARENAS: Final = 2
"""The main thread's, and the one of all others."""
_libc = ctypes.CDLL(None, use_errno=True)


def dump_nothing() -> None:
    """Let this process never be dumped, not into a pipe either (prctl(2), core(5))."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def swap_nothing() -> bool:
    """Lock every page that is touched from now on; False: this process may not.

    Takes CAP_IPC_LOCK, or no limit of locked memory (`LimitMEMLOCK=infinity`): with a limit the
    process would fall over when it comes to that.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft != resource.RLIM_INFINITY:
        try:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY,) * 2)
        except (OSError, ValueError):
            if hard != resource.RLIM_INFINITY:
                return False
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    return bool(_libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)


def keep_little() -> None:
    """Let the machine have again what is free, and many threads share what is not (mallopt(3)).

    Before any thread begins. By itself glibc takes the largest piece that was ever freed for what
    is usual, up to 32 MiB, and keeps twice that at hand in the arena of each thread: of a
    password's hash 19 MiB in every thread that has ever made one. To have them anew costs a hash
    half as much time again. And with an arena for each thread, as each connection to SQLite has
    one, a control plane had 28 MB after an hour between pieces that were in use.
    """
    _libc.mallopt(_M_MMAP_THRESHOLD, LARGE)
    _libc.mallopt(_M_TRIM_THRESHOLD, LARGE)
    _libc.mallopt(_M_ARENA_MAX, ARENAS)
