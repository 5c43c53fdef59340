// Elements. Text is only ever text here: nothing is made into markup, and control characters never get into the page.

const SVG = "http://www.w3.org/2000/svg";

// What terminals take as commands, C0 and C1 but line feed and tab, and what reverses the direction of text.
const SEQUENCES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])?/g;
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
const LONGEST = 400_000;

/** Return text without what is not to be shown. */
export function clean(text) {
  const whole = String(text ?? "");
  return (whole.length > LONGEST ? whole.slice(-LONGEST) : whole).replace(SEQUENCES, "").replace(CONTROLS, "");
}

/** Return text on one line. */
export function oneLine(text, most = 500) {
  return clean(String(text ?? "").slice(0, most * 2)).replace(/\s+/g, " ").trim().slice(0, most);
}

/** Make an element: `el("a", {class: "x", onclick: f}, "text", other)`. Attributes that are null are left out. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same of an element of a drawing. */
export function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined)
    .map((child) => (child instanceof Node ? child : document.createTextNode(clean(child)))));
  return element;
}

/** Set an element's text if it is another. The element has no other content; its one text node stays. */
export function put(element, text) {
  if (element.shown === text) return;
  element.shown = text;
  if (element.text) element.text.data = clean(text);
  else {
    element.text = document.createTextNode(clean(text));
    element.replaceChildren(element.text);
  }
}

/** Set an attribute if it is another; null: take it away. */
export function set(element, name, value) {
  const known = (element.known ??= {}); // to ask the element costs more
  if (known[name] === value) return;
  known[name] = value;
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

export const byId = (id) => document.getElementById(id);
