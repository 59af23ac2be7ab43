"""How many arenas glibc divides the memory of a process with many threads into."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
THREADS = 8
COUNTS = """
import ctypes, sys
from threading import Barrier, Thread

if sys.argv[2] == "little":
    from custody.memory import keep_little
    keep_little()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
together = Barrier(int(sys.argv[3]) + 1)

def ask():
    libc.malloc(ctypes.c_size_t(1000))
    together.wait()

for _ in range(int(sys.argv[3])):
    Thread(target=ask, daemon=True).start()
together.wait()
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.parametrize("how", ["as it is", "little"])
def test_the_threads_of_a_process_that_keeps_little_share_an_arena(
    tmp_path: Path, how: str
) -> None:
    told = tmp_path / "malloc_info"
    subprocess.run(
        [sys.executable, "-c", COUNTS, str(told), how, str(THREADS)],
        cwd=ROOT,
        check=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    arenas = told.read_text().count("<heap nr=")
    assert arenas <= 2 if how == "little" else arenas > 2
