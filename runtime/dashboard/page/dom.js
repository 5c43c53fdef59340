// Elements. Text is only ever text here: nothing is made into markup, and control characters never get into the page.

const SVG = "http://www.w3.org/2000/svg";

// What terminals take as commands; then C0 and C1 but line feed and tab, what reverses the direction of text, what has no
// width, tags, and joiners that join nothing: the same as `runtime/terminal/control_sequences.py`, and held to it by a test.
const SEQUENCES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])?/g;
const CONTROLS = "\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u2028\\u2029\\ud800-\\udfff";
const UNSEEN = "\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180e\\u200b\\u200e\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u3164\\ufeff"
  + "\\uffa0\\ufff9-\\ufffb\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e007f}";
const JOINERS = "[\\u200c\\u200d]";
const MEANT = "[\\u0600-\\u200b\\u200e-\\u{10ffff}]"; // neighbours between which they mean something
const HIDDEN = new RegExp(`[${CONTROLS}${UNSEEN}]|(?<!${MEANT})${JOINERS}|${JOINERS}(?!${MEANT})`, "gu");
const LONGEST = 400_000;

/** Return text without what is not to be shown. */
export function clean(text) {
  const given = String(text ?? "");
  return (given.length > LONGEST ? given.slice(-LONGEST) : given).replace(SEQUENCES, "").replace(HIDDEN, "");
}

/** Return a node with all of a text, and a name in the place of what cannot be seen: for what somebody is to approve. */
export function whole(text) {
  return document.createTextNode(text.replace(HIDDEN, named));
}

/** The same on one line. */
export function wholeLine(text) {
  return document.createTextNode(text.replace(HIDDEN, named).replace(/\n/g, "\\n").replace(/\t/g, "\\t"));
}

function named(character) {
  if (character === "\r") return "\\r";
  const code = character.codePointAt(0);
  const [letter, digits] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
  return `\\${letter}${code.toString(16).padStart(digits, "0")}`;
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
