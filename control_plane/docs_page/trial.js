// Sends a request as the reader fills it in, and shows what came back.

import { element } from "/docs/elements.js";
import { octets } from "/docs/octets.js";

const SHOWN = ["ETag", "Location", "Retry-After", "X-Request-Id", "Idempotent-Replayed"];
const LARGEST = 200_000;

// What is signed in stays in this page's memory: it is gone with the page.
export const session = { token: "", tenant: "" };
const etags = new Map();

export async function ask(verb, path, { headers = {}, body } = {}) {
  const sent = octets(headers);
  if (session.token) sent.Authorization = `Bearer ${session.token}`;
  if (session.tenant && sent["Everline-Tenant"] === undefined) sent["Everline-Tenant"] = session.tenant;
  return fetch(path, {
    method: verb.toUpperCase(), headers: sent, body, credentials: "omit", redirect: "error",
  });
}

export function trial(schemas, verb, path, operation) {
  const form = element("form", { class: "trial" }, element("h3", {}, "Try it"));
  const inputs = (operation.parameters ?? []).map((each) => [each, input(schemas, each)]);
  if (inputs.length) form.append(parameters(schemas, inputs));
  const body = bodyInput(schemas, operation, form);
  const answer = element("div", { class: "answer", "aria-live": "polite" });
  form.append(element("p", { class: "send" }, element("button", {}, "Send")), answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    answer.replaceChildren(element("p", { class: "dim" }, "…"));
    try {
      answer.replaceChildren(...await send(verb, path, inputs, body));
    } catch (error) {
      answer.replaceChildren(element("p", { class: "status bad" }, `It did not get through: ${error.message}`));
    }
    fillVersion(verb, path, inputs);
  });
  fillVersion(verb, path, inputs);
  return form;
}

function parameters(schemas, inputs) {
  const rows = inputs.map(([each, field]) => element("tr", {},
    element("td", {}, element("code", { class: each.required ? "needed" : null }, each.name)),
    element("td", {}, field),
    element("td", { class: "dim" }, [each.description, `${schemas.words(each.schema)} in the ${each.in}`, schemas.limits(each.schema)]
      .filter(Boolean).join("; "))));
  return element("table", {}, element("tbody", {}, rows));
}

function input(schemas, parameter) {
  const [shape] = schemas.plain(parameter.schema);
  const named = { name: parameter.name, "aria-label": parameter.name };
  const choices = shape.enum ?? (shape.type === "boolean" ? ["true", "false"] : null);
  if (choices) {
    return element("select", named, ["", ...choices].map((each) => element("option", { value: each }, String(each))));
  }
  return element("input", { ...named, autocomplete: "off", required: parameter.required && parameter.in === "path" });
}

function bodyInput(schemas, operation, form) {
  const content = operation.requestBody?.content;
  if (!content) return null;
  const [media, { schema } = {}] = Object.entries(content)[0];
  const text = schema ? JSON.stringify(schemas.example(schema), null, 2) : "";
  const area = element("textarea", { "aria-label": "body", spellcheck: "false" });
  area.value = text;
  form.append(element("p", { class: "dim" }, `Body, ${media}`), area);
  return { area, media };
}

function filled(path, inputs) {
  const query = new URLSearchParams();
  const headers = {};
  let address = path;
  for (const [each, field] of inputs) {
    const value = field.value;
    if (value === "") continue;
    if (each.in === "path") address = address.replace(`{${each.name}}`, encodeURIComponent(value));
    else if (each.in === "query") query.append(each.name, value);
    else headers[each.name] = value;
  }
  return { bare: address, address: query.size ? `${address}?${query}` : address, headers };
}

// The ETag that this page has seen of the same path is what If-Match wants.
function fillVersion(verb, path, inputs) {
  const found = inputs.find(([each]) => each.name === "If-Match");
  if (!found) return;
  found[1].value = etags.get(filled(path, inputs).bare) ?? found[1].value;
}

async function send(verb, path, inputs, body) {
  fillVersion(verb, path, inputs);
  const { bare, address, headers } = filled(path, inputs);
  if (body) headers["Content-Type"] = body.media;
  const began = performance.now();
  const reply = await ask(verb, address, { headers, body: body?.area.value });
  const text = await reply.text();
  const took = Math.round(performance.now() - began);
  if (reply.headers.has("ETag")) etags.set(bare, reply.headers.get("ETag"));
  const told = SHOWN.filter((name) => reply.headers.has(name))
    .map((name) => `${name}: ${reply.headers.get(name)}`);
  return [
    element("p", {},
      element("span", { class: `status ${reply.ok ? "good" : "bad"}` }, `${reply.status} ${reply.statusText}`),
      element("span", { class: "dim" }, ` ${verb.toUpperCase()} ${address}, ${took} ms`)),
    told.length ? element("p", { class: "dim" }, told.join(" · ")) : null,
    text ? element("pre", {}, pretty(text, reply.headers.get("Content-Type") ?? "")) : null,
  ].filter(Boolean);
}

function pretty(text, media) {
  if (text.length > LARGEST) return `${text.slice(0, LARGEST)}\n… (${text.length} characters)`;
  if (!media.includes("json")) return text;
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}
