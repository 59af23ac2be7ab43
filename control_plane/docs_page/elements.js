// Makes elements. Text becomes text nodes, never markup.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "value") made.value = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export const byId = (id) => document.getElementById(id);

export function method(verb) {
  return element("span", { class: `method ${verb}` }, verb.toUpperCase());
}

// Words between backticks are code.
export function prose(text) {
  return element("span", {}, text.split("`").map((each, place) => (place % 2 ? element("code", {}, each) : each)));
}
