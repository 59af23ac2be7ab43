// The page: the list of endpoints, the one that is looked at, and who is signed in.

import { byId, element, method, prose } from "/docs/elements.js";
import { Schemas } from "/docs/schema.js";
import { ask, session, trial } from "/docs/trial.js";

const VERBS = ["get", "post", "put", "patch", "delete"];
let operations = [];
let schemas = new Schemas({});

function notice(text) { byId("notice").textContent = text; }

async function start() {
  const reply = await fetch("/openapi.json", { credentials: "omit" });
  const told = await reply.json();
  schemas = new Schemas(told.components.schemas);
  byId("version").textContent = told.info.version;
  operations = Object.entries(told.paths).flatMap(([path, verbs]) => VERBS
    .filter((verb) => verbs[verb])
    .map((verb) => ({ verb, path, ...verbs[verb] })));
  list("");
  show();
}

function list(wanted) {
  const word = wanted.trim().toLowerCase();
  const fits = (each) => !word
    || `${each.verb} ${each.path} ${each.summary} ${each.tags}`.toLowerCase().includes(word);
  const tags = [...new Set(operations.map((each) => each.tags[0]))];
  byId("list").replaceChildren(...tags.flatMap((tag) => {
    const found = operations.filter((each) => each.tags[0] === tag && fits(each));
    if (!found.length) return [];
    return [element("h3", {}, tag.replaceAll("-", " ")), element("ul", {}, found.map(link))];
  }));
  mark();
}

function link(each) {
  return element("li", {}, element("a", { href: `#${each.operationId}`, title: each.summary },
    method(each.verb), element("span", { class: "path" }, breakable(each.path))));
}

// A path breaks before its slashes, not within its words.
function breakable(path) {
  return path.split("/").flatMap((each, place) => (place ? [element("wbr"), `/${each}`] : [each]));
}

function mark() {
  for (const each of byId("list").querySelectorAll("a")) {
    if (each.hash === location.hash) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
}

function show() {
  const named = decodeURIComponent(location.hash.slice(1));
  const found = operations.find((each) => each.operationId === named);
  byId("main").replaceChildren(...(found ? operation(found) : welcome()));
  document.title = found ? `${found.summary} · Everline API` : "Everline API";
  mark();
}

function welcome() {
  return [
    element("h2", {}, "What the center can be asked"),
    element("p", {}, `${operations.length} endpoints. Sign in above to try them; who may do what, the policy says.`),
    element("p", {}, "The same for programs: ", element("a", { href: "/openapi.json" }, "/openapi.json"),
      " (OpenAPI 3.1). Faults come as application/problem+json; compare their error_id."),
  ];
}

function operation(each) {
  const permission = each["x-permission"]
    ? element("p", {}, "Needs ", element("code", {}, each["x-permission"]))
    : element("p", { class: "dim" }, `Open to anybody: ${each["x-public-because"]}`);
  const body = Object.values(each.requestBody?.content ?? {})[0]?.schema;
  return [
    element("h2", {}, each.summary),
    element("p", {}, method(each.verb), " ", element("code", { class: "path" }, each.path)),
    each.description ? element("p", {}, prose(each.description)) : null,
    permission,
    ...(body ? [element("h3", {}, "Body"), schemas.show(body)] : []),
    element("h3", {}, "Answers"),
    answers(each.responses),
    trial(schemas, each.verb, each.path, each),
  ].filter(Boolean);
}

function answers(responses) {
  return element("table", {}, element("tbody", {}, Object.entries(responses).map(([status, each]) => {
    const [media, content] = Object.entries(each.content ?? {})[0] ?? [];
    const shape = content?.schema && media !== "application/problem+json" ? schemas.show(content.schema) : null;
    const kind = media && media !== "application/json" && media !== "application/problem+json" ? media : null;
    return element("tr", {}, element("th", {}, status),
      element("td", {}, shape ?? prose(each.description), kind ? element("p", { class: "dim" }, kind) : null));
  })));
}

async function enter(token, tenant) {
  session.token = token;
  session.tenant = "";
  let me;
  try {
    me = await told("get", "/v1/me");
  } catch (error) {
    session.token = "";
    throw error;
  }
  const roles = me.roles.map((each) => each.replace("role:", "")).join(", ") || "no role";
  byId("who").textContent = `${me.id}, ${roles}`;
  byId("acting").value = tenant || me.tenant;
  byId("sign-in").hidden = true;
  byId("signed-in").hidden = false;
  notice("");
}

/** Return what the API says. Raise Error, in words, where it refuses or cannot be reached. */
async function told(verb, path, sent) {
  const reply = await reached(verb, path, sent);
  const said = await reply.json().catch(() => ({})); // a proxy may have answered
  if (!reply.ok) throw new Error(said.title ?? `The API answered ${reply.status}`);
  return said;
}

async function reached(verb, path, sent) {
  try {
    return await ask(verb, path, sent);
  } catch (error) {
    throw new Error(`It did not get through: ${error.message}`);
  }
}

async function attempt(does) {
  try {
    await does();
  } catch (error) {
    notice(error.message);
  }
}

byId("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  attempt(async () => {
    const { tenant, login, password } = Object.fromEntries(new FormData(form));
    const opened = await told("post", "/v1/sessions", {
      headers: { "Content-Type": "application/json" }, body: JSON.stringify({ tenant, login, password }),
    }).finally(() => { form.elements.password.value = ""; });
    await enter(opened.access_token, opened.tenant);
  });
});
byId("take-token").addEventListener("click", () => {
  const field = byId("sign-in").elements.token;
  attempt(() => enter(field.value.trim(), "").finally(() => { field.value = ""; }));
});
byId("sign-out").addEventListener("click", () => {
  // Gone here at once, whenever the answer comes: what is sent next is nobody's, and for no tenant.
  const headers = { Authorization: `Bearer ${session.token}` };
  session.token = session.tenant = "";
  byId("sign-in").hidden = false;
  byId("signed-in").hidden = true;
  show(); // with nothing that was answered
  attempt(() => reached("delete", "/v1/sessions/current", { headers }));
});
byId("acting").addEventListener("input", (event) => { session.tenant = event.target.value.trim(); });
byId("filter").addEventListener("input", (event) => list(event.target.value));
window.addEventListener("hashchange", () => { show(); scrollTo(0, 0); byId("main").focus({ preventScroll: true }); });

start().catch((error) => notice(`/openapi.json cannot be read: ${error.message}`));
