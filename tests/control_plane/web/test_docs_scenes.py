"""The page of the API without a browser: who signs in and out there, and what is left of it."""

from __future__ import annotations

import pytest

from tests.control_plane.web.scenes import Stage, stage

__all__ = ("stage",)

PAGE = """
globalThis.FormData = class { constructor(form) { return Object.entries(form.fields); } };
globalThis.location = new URL("https://center.example/docs#queues_list");
const operation = { operationId: "queues_list", summary: "List", tags: ["queues"], responses: {} };
const told = {
  info: { version: "1" }, components: { schemas: {} }, paths: { "/v1/queues": { get: operation } },
};
const asked = [];
let answer = async () => new Response("{}");
globalThis.fetch = async (path, { method, headers }) => {
  if (path === "/openapi.json") return new Response(JSON.stringify(told));
  asked.push([method, path, headers]);
  return answer(path);
};
const me = { id: "usr_1", tenant: "main", roles: [], access_token: "t", title: "No" };
const json = () => new Response(JSON.stringify(me));
const form = byId("sign-in");
form.elements = { password: { value: "secret" }, token: { value: "t" } };
form.fields = { tenant: "main", login: "ada", password: "secret" };
await import("./docs/page.js");
await settled();
const signIn = async () => { form.dispatch("submit"); await settled(); };
const within = (each) => [each.textContent, ...each.children.map(within)].join(" ");
"""


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('throw new TypeError("fetch failed")', "It did not get through: fetch failed"),
        ('return new Response("<html>", { status: 502 })', "The API answered 502"),
    ],
)
def test_who_cannot_be_signed_in_is_told_why(stage: Stage, answer: str, said: str) -> None:
    stage.play(
        PAGE
        + f"answer = async () => {{ {answer}; }};"
        + f"await signIn(); assert.equal(byId('notice').textContent, '{said}');"
    )


def test_nothing_that_was_answered_is_left_on_the_page_when_one_has_signed_out(
    stage: Stage,
) -> None:
    stage.play(
        PAGE
        + """
answer = async () => json();
await signIn();
answer = async () => new Response('{"caller": "Berta"}');
const trial = byId("main").children.at(-1);
trial.dispatch("submit");
await settled();
assert.match(within(byId("main")), /Berta/);
byId("sign-out").dispatch("click");
await settled();
assert.doesNotMatch(within(byId("main")), /Berta/);
"""
    )


def test_one_signs_out_of_ones_own_tenant_and_in_again_whatever_stood_in_the_field(
    stage: Stage,
) -> None:
    stage.play(
        PAGE
        + """
answer = async () => json();
await signIn();
byId("acting").value = "no tenant";
byId("acting").dispatch("input");
byId("sign-out").dispatch("click");
await settled();
await signIn();
const sent = asked.map(([method, path, headers]) => [method, path, headers["Everline-Tenant"]]);
assert.deepEqual(sent.slice(2), [
  ["DELETE", "/v1/sessions/current", undefined],
  ["POST", "/v1/sessions", undefined],
  ["GET", "/v1/me", undefined],
]);
"""
    )
