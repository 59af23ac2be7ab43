// As much of a browser's page as the modules ask for, so that they can be tried without one.

class Element {
  constructor(name) {
    this.tagName = name.toUpperCase();
    Object.assign(this, { children: [], parentElement: null, dataset: {}, attributes: {}, listeners: {} });
    Object.assign(this, { textContent: "", className: "", value: "", hidden: false, disabled: false, open: false });
    this.classList = {
      toggle: (name, isOn) => {
        const others = this.className.split(" ").filter((each) => each && each !== name);
        this.className = [...others, ...(isOn ? [name] : [])].join(" ");
      },
    };
  }

  get firstElementChild() { return this.children[0] ?? null; }
  get lastElementChild() { return this.children.at(-1) ?? null; }
  get nextElementSibling() {
    const among = this.parentElement.children;
    return among[among.indexOf(this) + 1] ?? null;
  }

  setAttribute(key, value) {
    this.attributes[key] = value;
    if (key.startsWith("data-")) this.dataset[key.slice(5)] = value;
  }

  addEventListener(what, does) { (this.listeners[what] ??= []).push(does); }
  dispatch(what, event = {}) {
    for (const does of this.listeners[what] ?? []) does({ preventDefault() {}, target: this, currentTarget: this, ...event });
  }

  contains(other) {
    for (let each = other; each; each = each.parentElement) if (each === this) return true;
    return false;
  }

  // What leaves its place, be it for another one, loses the focus: so do browsers.
  remove() {
    if (this.contains(document.activeElement)) document.activeElement = document.body;
    if (this.parentElement) this.parentElement.children = this.parentElement.children.filter((each) => each !== this);
    this.parentElement = null;
  }

  insertBefore(made, place) {
    made.remove();
    this.children.splice(place ? this.children.indexOf(place) : this.children.length, 0, made);
    made.parentElement = this;
    return made;
  }

  replaceWith(made) {
    this.parentElement.insertBefore(made, this);
    this.remove();
  }

  appendChild(made) { return this.insertBefore(made, null); }
  append(...all) {
    for (const each of all) typeof each === "string" ? this.textContent += each : this.appendChild(each);
  }

  replaceChildren(...all) {
    for (const each of [...this.children]) each.remove();
    this.append(...all);
  }

  querySelector(selector) {
    const [, key, value] = /^\w*\[data-(\w+)(?:="?(\w+)"?)?\]$/.exec(selector);
    const fits = (each) => each.dataset[key] && (!value || each.dataset[key] === value);
    for (const each of this.children) {
      const found = fits(each) ? each : each.querySelector(selector);
      if (found) return found;
    }
    return null;
  }

  querySelectorAll() { return []; }
  focus() { document.activeElement = this; }
  showModal() { this.open = true; }
  close() { this.open = false; }
  reset() {}
}

const named = new Map();
const body = new Element("body");
const page = new Element("main");
globalThis.document = {
  body,
  activeElement: body,
  createElement: (name) => new Element(name),
  getElementById(id) {
    if (!named.has(id)) named.set(id, new Element(["queues", "agents", "found"].includes(id) ? "tbody" : "div"));
    return named.get(id);
  },
  querySelector: () => null,
  querySelectorAll: () => [],
  addEventListener: page.addEventListener.bind(page),
};
globalThis.window = { addEventListener() {}, devicePixelRatio: 1 };
globalThis.location = new URL("https://center.example/wallboard");
globalThis.requestAnimationFrame = (does) => does();
const kept = new Map();
globalThis.sessionStorage = {
  getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key),
};

export const byId = (id) => document.getElementById(id);

/** Let whatever was answered by now be taken. */
export async function settled() { for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => { setImmediate(resolve); }); }

/** Something that will be answered when it is said so. */
export function later() {
  const made = {};
  made.promise = new Promise((resolve, reject) => { [made.answer, made.fail] = [resolve, reject]; });
  return made;
}
