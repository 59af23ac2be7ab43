"""A stage for the pages' modules without a browser: what they do when answers are late or fail.

They run in the Node that Playwright brings, on as much of a page as `dom.mjs` is.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

from tests.control_plane.outside.test_docs_page import TEXTS

DOM = (Path(__file__).parent / "dom.mjs").read_text()
FIRST = """
import assert from "node:assert/strict";
import { byId, later, settled } from "/dom.mjs";
"""
_WHERE = re.compile(r"/scene\.mjs:(\d+)")


class Stage:
    """The modules as they are served, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for path, text in {**TEXTS, "/dom.mjs": DOM}.items():
            if path.endswith(("js", "mjs")):
                self._write(path, text)

    def play(self, scene: str) -> None:
        """Run a scene; what it asserts in vain fails the test."""
        text = FIRST + scene
        self._write("/scene.mjs", text)
        node = compute_driver_executable()[0]
        ran = subprocess.run(
            [node, self._folder / "scene.mjs"], capture_output=True, text=True, check=False
        )
        # Node says by number in which line: of a text that stands in this file only in parts.
        where = _WHERE.search(ran.stderr)
        line = text.splitlines()[int(where[1]) - 1].strip() if where else "no line of the scene"
        assert ran.returncode == 0, f"{line}\n{ran.stderr}"

    def _write(self, path: str, text: str) -> None:
        file = self._folder / path.lstrip("/")
        file.parent.mkdir(exist_ok=True)
        file.write_text(text.replace('from "/', f'from "file://{self._folder}/'))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return Stage(tmp_path)
