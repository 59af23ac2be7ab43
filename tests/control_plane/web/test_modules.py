"""The pages' modules without a browser: what is asked, told and shown when answers are late or fail.

They run in the Node that Playwright brings, on as much of a page as `dom.mjs` is.
"""

from __future__ import annotations

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


class Stage:
    """The modules as they are served, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for path, text in {**TEXTS, "/dom.mjs": DOM}.items():
            if path.endswith(("js", "mjs")):
                self._write(path, text)

    def play(self, scene: str) -> None:
        """Run a scene; what it asserts in vain fails the test."""
        self._write("/scene.mjs", FIRST + scene)
        node = compute_driver_executable()[0]
        ran = subprocess.run(
            [node, self._folder / "scene.mjs"], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr

    def _write(self, path: str, text: str) -> None:
        file = self._folder / path.lstrip("/")
        file.parent.mkdir(exist_ok=True)
        file.write_text(text.replace('from "/', f'from "file://{self._folder}/'))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return Stage(tmp_path)


# ---- what is done --------------------------------------------------------------------------------

ACTS = """
const { Actions } = await import("./wallboard/actions.js");
const [asked, first] = [[], later()];
const session = {
  ask: (method, path, body) => {
    asked.push([method, path, body.draining]);
    return path.includes("/a/") && path.includes("dry_run") ? first.promise : Promise.resolve({ move: null });
  },
  get: () => first.promise,
};
const actions = new Actions(session, () => {});
const press = (id, what = "click") => byId(id).dispatch(what);
"""


def test_a_drain_that_was_given_up_is_not_carried_out_in_place_of_the_next(stage: Stage) -> None:
    stage.play(
        ACTS
        + """
actions.ask("drain", { id: "a" });
press("act-cancel");
actions.ask("drain", { id: "b" });
await settled();
first.answer({ move: null });
await settled();
assert.equal(byId("act-title").textContent, "Drain: b");
press("act-form", "submit");
await settled();
assert.deepEqual(asked.at(-1), ["POST", "/v1/sites/b/drain", true]);
"""
    )


def test_nothing_can_be_said_yes_to_before_it_is_known_what_it_comes_to(stage: Stage) -> None:
    stage.play(
        ACTS
        + """
actions.ask("drain", { id: "b" });
press("act-cancel");
actions.ask("drain", { id: "a" });
await settled();
assert.equal(byId("act-do").disabled, true);
first.fail(new TypeError("cut off"));
await settled();
assert.equal(byId("act-do").disabled, true);
assert.match(byId("act-refused").textContent, /cut off/);
"""
    )


def test_what_an_earlier_question_ran_into_is_not_said_of_the_next(stage: Stage) -> None:
    stage.play(
        ACTS
        + """
actions.ask("drain", { id: "a" });
press("act-cancel");
actions.ask("drain", { id: "b" });
await settled();
first.fail(new TypeError("cut off"));
await settled();
assert.equal(byId("act-refused").textContent, "");
assert.equal(byId("act-do").disabled, false);
"""
    )


def test_an_answer_that_comes_late_does_not_close_the_next_question(stage: Stage) -> None:
    stage.play(
        ACTS
        + """
const done = later();
session.ask = (method, path) => (path.includes("dry_run") ? Promise.resolve({ move: null }) : done.promise);
actions.ask("drain", { id: "a" });
await settled();
press("act-form", "submit");
press("act-cancel");
session.ask = () => later().promise;
actions.ask("drain", { id: "b" });
done.answer({});
await settled();
assert.equal(byId("act").open, true);
assert.equal(byId("act-do").disabled, true);
"""
    )
