// Main: keeps the model up to date while the page is seen, and draws it once a frame.

import { Refused, get, stream, takeToken } from "./api.js";
import { byId, el, oneLine, put, set } from "./dom.js";
import { List } from "./list.js";
import { Model } from "./model.js";
import { Questions } from "./questions.js";
import { TaskPanel, askToStop } from "./task.js";
import { ENDED, MARKS, amount, dollars, plural } from "./words.js";

const RETRY = 1000;
const TURN = 300;

const model = new Model();
let cursor = null;
let warned = 0; // how many warnings are known
let reading = null; // what ends the stream
let due = false;
let readOnly = false;
let hasBegun = false; // a row has been given the keys
let gaveWay = false; // to another tab: a browser has no more than six connections to a server

const act = {
  changed: () => draw(),
  open: (id) => show(id),
  close: () => show(null),
  back: () => list.focus(list.focused),
  isReadOnly: () => readOnly,
  say: (text) => notice(text),
};
const list = new List(model, act);
const panel = new TaskPanel(model, act);
const questions = new Questions(model, act);

// --- drawing ---------------------------------------------------------------------------------------------------------

function draw() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    if (model.layOut()) questions.draw();
    totals();
    list.draw();
    panel.draw();
    if (!hasBegun && model.rows.length) {
      hasBegun = true;
      if (list.open && model.rows.some((row) => row.id === list.open)) list.focused = list.open;
      if (document.activeElement === document.body) list.focus(list.focused);
    }
  });
}

let summed = null; // what is shown

function totals() {
  const sum = model.totals();
  if (sum !== summed) showSum(sum);
  summed = sum;
  const empty = byId("empty");
  empty.hidden = model.rows.length > 0 || cursor === null;
  put(empty, model.filter ? "Nothing fits the filter." : model.past ? "There are no runs." : "Nothing runs. Tick “past” to see earlier runs.");
}

function showSum(sum) {
  const parts = Object.keys(MARKS).filter((status) => sum.counts[status])
    .map((status) => el("span", { class: `s-${status}` }, el("span", { "aria-hidden": "true" }, MARKS[status]), `${sum.counts[status]} `, el("span", { class: "word" }, status)));
  const usage = sum.tokens ? [el("span", {}, `Σ ${amount(sum.tokens)} tokens ${dollars(sum.cost)}`)] : [];
  byId("totals").replaceChildren(...parts, ...usage);
  const asked = sum.counts.waiting ?? 0;
  document.title = `${asked ? `(${asked}?) ` : ""}subactors`;
}

function notice(text) {
  const element = byId("notice");
  element.hidden = !text;
  put(element, oneLine(text, 2000));
}

// --- what the server says --------------------------------------------------------------------------------------------

function state(word) {
  put(byId("state"), word);
  set(document.body, "class", word === "live" ? null : "old");
}

async function load(signal) {
  const all = await get(`/api/tasks?past=${model.past ? 1 : 0}`);
  if (signal.aborted) return; // somebody else has asked since, perhaps for something else
  cursor = all.cursor;
  warned = all.warned;
  readOnly = all.read_only;
  set(document.documentElement, "data-read-only", readOnly);
  model.reset(all);
  if (all.warnings.length) notice(all.warnings.join(" "));
  panel.loaded();
  draw();
}

async function follow(signal) {
  while (!signal.aborted) {
    try {
      if (cursor === null) await load(signal);
      if (signal.aborted) return;
      state("live");
      const open = panel.follows();
      const more = open ? `&task=${encodeURIComponent(open.id)}&from=${open.from}` : "";
      await stream(`/api/events?after=${encodeURIComponent(cursor)}&warned=${warned}${more}`, take, signal);
      if (cursor === null) continue; // all is to be fetched again
      if (gaveWay) {
        gaveWay = false;
        await new Promise((done) => setTimeout(done, TURN));
        continue;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused) {
        state("refused");
        notice(error.message);
        return;
      }
    }
    if (signal.aborted) return;
    state("reconnecting …");
    await new Promise((done) => setTimeout(done, RETRY));
  }
}

function take(name, data, id) {
  if (name === "tasks") {
    model.take(data);
    cursor = id;
    announce(data.changed);
    panel.changed(data.changed);
    draw();
  } else if (name === "reset") {
    cursor = null;
  } else if (name === "turn") {
    gaveWay = true;
  } else if (name === "warning") {
    warned = data.warned ?? warned;
    notice(data.text);
  } else if (name === "output" || name === "ended") {
    panel.said(name, data);
  }
}

/** Say to who does not see the page what has failed. */
function announce(changes) {
  const failed = changes.filter((change) => change.status === "failed");
  if (failed.length) put(byId("said"), `${plural(failed.length, "task")} failed: ${failed.slice(0, 3).map((change) => model.tasks.get(change.id)?.agent).join(", ")}.`);
}

function connect() {
  if (reading || document.hidden) return;
  reading = new AbortController();
  const mine = reading;
  follow(mine.signal).finally(() => { if (reading === mine) reading = null; });
}

function hangUp() {
  reading?.abort();
  reading = null;
}

function reconnect() {
  hangUp();
  connect();
}

// A browser has six connections to a server: a page that nobody sees gives its one back.
document.addEventListener("visibilitychange", () => (document.hidden ? hangUp() : connect()));
addEventListener("pagehide", hangUp);
addEventListener("pageshow", connect);
setInterval(() => { if (!document.hidden && model.rows.length) draw(); }, 1000);

// --- the address -----------------------------------------------------------------------------------------------------

/** Show a task, or none, and have the address say so: each that was opened has its place in the browser's history. */
function show(id) {
  const query = new URLSearchParams();
  if (model.filter) query.set("q", model.filter);
  if (model.past) query.set("past", "1");
  const asked = query.toString();
  const address = `${location.pathname}${asked ? `?${asked}` : ""}${id ? `#${id}` : ""}`;
  if (list.open === id) {
    history.replaceState(null, "", address);
    return;
  }
  history.pushState(null, "", address);
  turnTo(id);
  draw();
  reconnect();
}

function turnTo(id) {
  list.open = id;
  panel.show(id);
  if (!id) list.focus(list.focused);
}

/** Show what the address says. */
function arrive() {
  takeToken();
  const asked = new URLSearchParams(location.search);
  const had = model.past;
  model.filter = asked.get("q") ?? "";
  model.past = asked.get("past") === "1";
  if (model.past && !had) cursor = null;
  model.isStale = true;
  byId("filter").value = model.filter;
  byId("past").checked = model.past;
  const id = location.hash.slice(1) || null;
  if (list.open !== id) turnTo(id);
  draw();
  reconnect();
}

byId("filter").addEventListener("input", (event) => {
  model.filter = event.target.value;
  model.isStale = true;
  show(list.open);
  draw();
});
byId("past").addEventListener("change", (event) => {
  model.past = event.target.checked;
  model.isStale = true;
  show(list.open);
  if (model.past) { cursor = null; reconnect(); } else draw();
});
addEventListener("popstate", arrive);

// --- keys ------------------------------------------------------------------------------------------------------------

/** Whether an element that is no field wants a key of the list's itself: a button is pressed, a long text scrolls. */
function isOwn(key, element) {
  const presses = key === "Enter" || key === " ";
  return Boolean((presses && element.closest("button, input, a")) || (key !== "Enter" && element.closest("pre[tabindex], ol[tabindex]")));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || byId("ask").open) return;
  const { key, target } = event;
  const types = target.matches("input:not([type=checkbox]), textarea, select");
  if (key === "Escape") {
    if (target === byId("filter") && model.filter) {
      byId("filter").value = "";
      byId("filter").dispatchEvent(new Event("input"));
    } else if (types || byId("questions").contains(target)) act.back();
    else if (list.open) show(null);
    return;
  }
  if (types) return;
  const id = list.open ?? (model.tasks.has(list.focused) ? list.focused : null);
  if (key === "/") byId("filter").focus();
  else if (key === "s" && id) askToStop(model, act, id);
  else if (key === "o" && id) { show(id); panel.tab("output"); }
  else if (key === "t" && id) { show(id); panel.writes(); }
  else if (key === "r" && id && ENDED.has(model.tasks.get(id)?.status)) { show(id); panel.writes(); }
  else if ((key === "v" || key === "V") && id) {
    if (list.open) panel.turn(key === "v" ? 1 : -1);
    else show(id);
  } else if (key === "p") byId("past").click();
  else if (key === "a") questions.focus();
  else if (isOwn(key, target) || !list.key(event)) return;
  event.preventDefault();
});

state("connecting …");
arrive();
