"""A process that dies of a fault leaves nothing of its memory behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.parts
ROOT = Path(__file__).parents[2]
DIES = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
os.chdir(sys.argv[1])
if sys.argv[2] == "kept":
    from custody.memory import dump_nothing
    dump_nothing()
os.abort()
"""


@pytest.mark.parametrize("how", ["as it is", "kept"])
def test_a_process_that_dumps_nothing_leaves_no_core(tmp_path: Path, how: str) -> None:
    died = subprocess.run(
        [sys.executable, "-c", DIES, str(tmp_path), how],
        cwd=ROOT,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
    )
    assert died.returncode == -6
    left = list(tmp_path.iterdir())
    if how == "kept":
        assert left == []
    elif not left:
        pytest.skip("this machine dumps nobody's memory into a file")
