// Shows JSON schemas, and makes an example that fits one.

import { element, prose } from "/docs/elements.js";

const DEEPEST = 6;

export class Schemas {
  constructor(all) { this.all = all; }

  resolve(schema) {
    let found = schema ?? {};
    for (let hops = 0; found.$ref && hops < 10; hops += 1) {
      found = this.all[found.$ref.split("/").pop()] ?? {};
    }
    return found;
  }

  // The one alternative besides null, if there is one, and whether null is one.
  plain(schema) {
    const found = this.resolve(schema);
    const choices = found.anyOf ?? found.oneOf;
    if (!choices) return [found, false];
    const others = choices.filter((each) => each.type !== "null");
    const nullable = others.length < choices.length;
    return [others.length === 1 ? this.resolve(others[0]) : { ...found, anyOf: others }, nullable];
  }

  words(schema) {
    const [found, nullable] = this.plain(schema);
    return this.#type(found) + (nullable ? " or null" : "");
  }

  #type(found) {
    if (found.const !== undefined) return JSON.stringify(found.const);
    if (found.enum) return found.enum.map((each) => JSON.stringify(each)).join(" | ");
    if (found.anyOf) return found.anyOf.map((each) => this.words(each)).join(" or ");
    if (found.type === "array") {
      const items = found.items ?? found.prefixItems?.[0] ?? {};
      return `list of ${this.words(items)}`;
    }
    if (found.type === "object" && found.additionalProperties) {
      return `map of ${this.words(found.additionalProperties)}`;
    }
    const format = found.format ? ` (${found.format})` : "";
    return (found.type ?? "anything") + format;
  }

  limits(schema) {
    const [found] = this.plain(schema);
    const said = [];
    const add = (key, text) => { if (found[key] !== undefined) said.push(`${text} ${found[key]}`); };
    add("minimum", "at least"); add("exclusiveMinimum", "more than");
    add("maximum", "at most"); add("exclusiveMaximum", "less than");
    const [least, most] = [found.minLength, found.maxLength];
    if (least && most) said.push(`${least} to ${most} characters`);
    else if (most !== undefined) said.push(`up to ${most} characters`);
    else if (least) said.push(`${least} characters or more`);
    add("maxItems", "at most"); add("pattern", "like");
    if (schema?.default !== undefined && schema.default !== null && schema.default !== "") {
      said.push(`left out: ${JSON.stringify(schema.default)}`);
    }
    return said.join(", ");
  }

  show(schema, depth = 0) {
    const [found] = this.plain(schema);
    const inner = this.#inner(found);
    const fields = Object.entries(inner.properties ?? {});
    if (!fields.length || depth > DEEPEST) {
      return element("p", { class: "type" }, this.words(schema));
    }
    const needed = new Set(inner.required ?? []);
    const list = element("ul", {}, fields.map(([name, each]) => this.#field(name, each, needed, depth)));
    return depth ? list : element("div", { class: "schema" }, list);
  }

  #field(name, schema, needed, depth) {
    const [found] = this.plain(schema);
    const about = [schema.description ?? found.description, this.limits(schema)].filter(Boolean).join(" · ");
    const line = [
      element("code", { class: needed.has(name) ? "needed" : null }, name), " ",
      element("span", { class: "type" }, this.words(schema)),
      about ? element("span", { class: "dim" }, " ", prose(about)) : null,
    ];
    const inner = this.#inner(found);
    if (!inner.properties || depth >= DEEPEST) return element("li", {}, line);
    const details = element("details", {}, element("summary", {}, line));
    // Made when it is opened: shapes may hold themselves.
    details.addEventListener("toggle", () => {
      if (details.childElementCount === 1) details.append(this.show(inner, depth + 1));
    });
    return element("li", {}, details);
  }

  #inner(found) {
    if (found.type === "array") return this.plain(found.items)[0];
    if (found.type === "object" && !found.properties && found.additionalProperties) {
      return this.plain(found.additionalProperties)[0];
    }
    return found;
  }

  // Only what has to be said: the rest would be sent as if it were meant.
  example(schema, depth = 0) {
    const [found, nullable] = this.plain(schema);
    if (found.default !== undefined) return found.default;
    if (found.const !== undefined) return found.const;
    if (found.enum) return found.enum[0];
    if (found.type === "object") {
      const needed = Object.keys(found.properties ?? {}).filter((name) => found.required?.includes(name));
      if (depth > DEEPEST) return {};
      return Object.fromEntries(needed.map((name) => [name, this.example(found.properties[name], depth + 1)]));
    }
    if (found.type === "array") return [];
    if (found.type === "integer" || found.type === "number") return found.minimum ?? 1;
    if (found.type === "boolean") return false;
    if (found.format === "date-time") return "2027-01-01T00:00:00Z";
    return found.type === "string" ? "text" : nullable ? null : {};
  }
}
