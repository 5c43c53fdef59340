// Task: everything about one task, beside the list. Output follows; what else there is is asked for when it is wanted.

import { get, post } from "./api.js";
import { byId, clean, draw, el, oneLine, put, set } from "./dom.js";
import { points } from "./list.js";
import { form } from "./questions.js";
import { ENDED, MARKS, amount, bytes, date, dollars, moment, plural, shortId, span, tokensOf } from "./words.js";

const TABS = { output: "Output", conversation: "Conversation", result: "Result", attempts: "Attempts", log: "Log", details: "Details" };
const MOST = 400_000; // characters of output that are kept in the page
const ITEMS = 10; // of a group, that are named
const NEAR = 40; // pixels from the end at which output still follows
const FROM_THE_END = -100_000;

export class TaskPanel {
  id = null;

  constructor(model, act) {
    this.model = model;
    this.act = act;
    this.place = byId("task");
  }

  /** Show a task; null: none. */
  show(id) {
    this.id = id;
    this.about = null;
    this.end = null;
    this.kept = 0;
    this.asked = 0;
    this.messages = [];
    this.isToWrite = false;
    this.current = "output";
    this.place.hidden = !id;
    this.place.replaceChildren();
    if (!id) return;
    this.title = el("h2", { tabindex: "-1" });
    this.status = el("p", { class: "status" });
    this.why = el("p", { class: "why" });
    this.figures = el("p", { class: "figures" });
    this.charts = el("p", { class: "charts", hidden: true });
    this.questions = el("div", { class: "asks" });
    this.formed = ""; // which questions have forms
    this.fetching = null;
    this.tabs = el("div", { role: "tablist", "aria-label": "About the task" },
      ...Object.entries(TABS).map(([name, word]) => el("button", {
        type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "pane", "aria-selected": String(name === "output"),
        tabindex: name === "output" ? 0 : -1, onclick: () => this.tab(name),
      }, word)));
    this.tabs.addEventListener("keydown", (event) => this.moveTab(event));
    this.output = el("pre", { role: "log", "aria-label": "Output", tabindex: "0", class: "output" });
    this.silent = el("p", { class: "none", hidden: true });
    this.pane = el("div", { id: "pane", role: "tabpanel", "aria-labelledby": "tab-output" }, this.silent, this.output);
    this.field = el("textarea", { rows: 2, "aria-label": "Tell the task something", placeholder: "tell it something …" });
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); this.tell(); }
    });
    this.sendButton = el("button", { type: "button", onclick: () => this.tell() }, "Steer");
    this.stopButton = el("button", { type: "button", class: "danger", onclick: () => askToStop(this.model, this.act, this.id) }, "Stop");
    this.resumeButton = el("button", { type: "button", onclick: () => this.resume() }, "Resume");
    this.receipt = el("p", { role: "status", class: "receipt" });
    this.bar = el("div", { class: "bar" }, this.field, this.sendButton, this.resumeButton, this.stopButton, this.receipt);
    this.place.append(
      el("div", { class: "top" }, this.title, el("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => this.act.close() }, "×")),
      this.status, this.why, this.figures, this.charts, this.questions, this.tabs, this.pane, this.bar);
    this.ask();
    this.draw();
  }

  /** Which output is to be followed, and from where. */
  follows() {
    return this.id ? { id: this.id, from: this.end ?? FROM_THE_END } : null;
  }

  loaded() { if (this.id) { this.ask(); this.draw(); } }

  changed(changes) {
    const mine = changes.find((change) => change.id === this.id);
    if (mine && (mine.status !== undefined || mine.attempts !== undefined)) this.ask();
    if (mine && this.current === "conversation") this.askMessages();
    if (this.current === "details" && changes.some((change) => change.group === this.id)) this.fillTab(); // items have come
  }

  /** Ask for all that the list does not have. */
  async ask() {
    const id = this.id;
    const number = ++this.asked;
    try {
      const details = await get(`/api/tasks/${encodeURIComponent(id)}`);
      if (this.id !== id || number !== this.asked) return;
      this.about = details;
      this.fillTab();
      this.draw();
    } catch (error) {
      if (this.id === id) put(this.why, error.message);
    }
  }

  async askMessages() {
    const id = this.id;
    if (this.fetching?.id === id) return;
    const fetching = this.fetching = { id };
    try {
      const last = this.messages[this.messages.length - 1]?.number ?? 0;
      const { messages } = await get(`/api/tasks/${encodeURIComponent(id)}/messages?after=${last}`);
      if (this.id !== id || this.fetching !== fetching) return;
      this.messages.push(...messages);
      if (this.current === "conversation") {
        if (!this.messages.length) this.pane.replaceChildren(el("p", { class: "none" }, "It has no conversation."));
        else if (this.pane.firstChild?.matches("ol")) this.pane.firstChild.append(...messages.map(message));
        else this.pane.replaceChildren(this.conversation());
      }
      if (messages.length >= 200) setTimeout(() => this.id === id && this.askMessages(), 0);
    } catch (error) {
      this.act.say(error.message);
    } finally {
      if (this.fetching === fetching) this.fetching = null;
    }
  }

  /** Output has come. */
  said(name, data) {
    if (data.id !== this.id) return;
    this.end = data.end;
    if (name === "ended") return;
    const { output } = this;
    const follows = output.scrollHeight - output.scrollTop - output.clientHeight < NEAR;
    if (data.missed) output.append(el("em", {}, `\n[${data.missed.toLocaleString("en")} bytes left out here.]\n`));
    const text = clean(data.text);
    output.append(document.createTextNode(text));
    this.kept += text.length;
    while (this.kept > MOST && output.childNodes.length > 1) {
      this.kept -= output.firstChild.textContent.length;
      output.firstChild.remove();
    }
    if (follows) output.scrollTop = output.scrollHeight;
  }

  draw() {
    if (!this.id) return;
    const task = this.model.tasks.get(this.id) ?? this.about;
    if (!task) { put(this.title, shortId(this.id)); return; }
    const ended = ENDED.has(task.status);
    put(this.title, `${oneLine(task.agent, 200)} ${shortId(task.id)}`);
    const ran = this.model.ranFor(task);
    const where = task.node ? ` · on ${oneLine(task.node, 60)}` : "";
    const tries = task.attempts > 1 ? ` · ${plural(task.attempts, "attempt")}` : "";
    put(this.status, `${MARKS[task.status]} ${task.status}${ran === null ? "" : ` ${span(ran)}`}${where}${tries}${this.doing(task)}`);
    set(this.status, "class", `status s-${task.status}`);
    put(this.why, task.reason || (this.about && this.about.warning) || "");
    const own = tokensOf(task.usage);
    const all = tokensOf(task.total_usage);
    const { vitals } = task;
    put(this.figures, [
      own ? `${amount(own)} tokens ${dollars(task.usage.cost)}` : "",
      all > own ? `Σ ${amount(all)} tokens ${dollars(task.total_usage.cost)} with what it started` : "",
      vitals && vitals.memory_bytes ? `${bytes(vitals.memory_bytes)}${ended ? " at its peak" : ""}` : "",
      vitals && !ended && vitals.cpu_percent !== null ? `${Math.round(vitals.cpu_percent)}% CPU` : "",
      vitals && !ended && vitals.processes > 1 ? plural(vitals.processes, "process").replace("processs", "processes") : "",
    ].filter(Boolean).join(" · "));
    this.drawCharts(task, ended);
    this.silent.hidden = this.kept > 0 || task.output_size > 0;
    put(this.silent, ended ? "It has said nothing." : "It has said nothing yet.");
    const asking = ended || !task.live ? [] : task.questions;
    const key = asking.map((question) => question.id).join();
    if (key !== this.formed) {
      this.formed = key;
      this.questions.replaceChildren(...asking.map((question) => form(question, this.act)));
    }
    const canAct = !this.act.isReadOnly();
    this.bar.hidden = !canAct;
    this.isGroup = !ended && this.model.itemsOf(task.id).length > 0;
    this.field.hidden = this.isGroup || (ended && !this.canResume(task));
    this.sendButton.hidden = ended || this.isGroup;
    set(this.field, "placeholder", ended ? "say something to go on with …" : "tell it something …");
    this.stopButton.hidden = ended || !task.live;
    this.resumeButton.hidden = !this.canResume(task);
    if (this.isToWrite && canAct && !this.field.hidden) {
      this.isToWrite = false;
      this.field.focus();
    }
  }

  canResume(task) { return ENDED.has(task.status) && Boolean(this.about?.resumable); }

  doing(task) {
    const began = moment(task.doing_began_at);
    const age = began === null ? "" : ` for ${span((this.model.now() - began) / 1000)}`;
    return task.doing && !ENDED.has(task.status) ? ` · ${oneLine(task.doing, 300)}${age}` : "";
  }

  drawCharts(task, ended) {
    const ring = this.model.samples.get(task.id) ?? [];
    const samples = this.about?.samples?.length > ring.length ? this.about.samples : ring;
    this.charts.hidden = ended || samples.length < 2;
    if (this.charts.hidden) return;
    const chart = (name, place, least, text) => el("span", {}, `${name} `,
      draw("svg", { viewBox: "0 0 120 24", preserveAspectRatio: "none", class: "chart", role: "img", "aria-label": `${name}: ${text}` },
        draw("polyline", { fill: "none", points: points(samples.map((sample) => sample[place]), 120, 24, least) })));
    const latest = samples[samples.length - 1];
    if (this.charted === latest[0]) return;
    this.charted = latest[0];
    this.charts.replaceChildren(chart("CPU", 1, 100, `${Math.round(latest[1])}%`), chart("memory", 2, 1e6, bytes(latest[2])));
  }

  // --- tabs ----------------------------------------------------------------------------------------------------------

  tab(name) {
    if (!this.id) return;
    this.current = name;
    for (const button of this.tabs.children) {
      const isIt = button.id === `tab-${name}`;
      set(button, "aria-selected", String(isIt));
      set(button, "tabindex", isIt ? 0 : -1);
    }
    set(this.pane, "aria-labelledby", `tab-${name}`);
    this.fillTab(true);
  }

  moveTab(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    this.turn(step);
    byId(`tab-${this.current}`).focus();
  }

  /** Show the next view of the task, or the one before. */
  turn(step) {
    const names = Object.keys(TABS);
    this.tab(names[(names.indexOf(this.current) + step + names.length) % names.length]);
  }

  fillTab(isNew = false) {
    if (this.current === "output") {
      if (isNew) { this.pane.replaceChildren(this.silent, this.output); this.output.scrollTop = this.output.scrollHeight; }
    } else if (this.current === "conversation") {
      if (isNew) {
        this.pane.replaceChildren(...(this.messages.length ? [this.conversation()] : []));
        this.askMessages();
      }
    } else if (!this.about) this.pane.replaceChildren(el("p", {}, "…"));
    else this.pane.replaceChildren(...this[this.current]());
  }

  conversation() { return el("ol", { class: "messages", tabindex: "0" }, ...this.messages.map(message)); }

  result() {
    const { about: details } = this;
    if (details.result === null) {
      return [el("p", {}, ENDED.has(details.status) ? "There is no result." : "It has not ended yet."), ...this.traceback()];
    }
    return [el("pre", { tabindex: "0", class: details.result_is_text ? "prose" : "" }, details.result), ...this.traceback(), ...this.failures()];
  }

  traceback() {
    const { traceback } = this.about;
    return traceback ? [el("h3", {}, "Traceback"), el("pre", { tabindex: "0" }, traceback)] : [];
  }

  /** Of a group: what has become of its items, by why they failed. */
  failures() {
    const failed = this.model.itemsOf(this.id).filter((task) => ENDED.has(task.status) && task.status !== "completed");
    if (!failed.length) return [];
    return [el("h3", {}, plural(failed.length, "failure")), el("ul", {}, ...failed.slice(0, 500).map((task) => el("li", {}, this.link(task),
      ` ${task.status}: ${oneLine(task.reason)} — ${oneLine(task.task, 120)}`)))];
  }

  /** Of a group: how many items it has, and the first of them. */
  items() {
    const items = this.model.itemsOf(this.id);
    if (!items.length) return null;
    const total = Math.max(items.length, (this.model.tasks.get(this.id) ?? this.about).progress?.total ?? 0);
    const shown = items.slice(0, ITEMS).map((task) => el("li", {}, this.link(task), ` ${oneLine(task.task, 120)}`));
    return el("div", {}, String(total), el("ul", {}, ...shown, total > shown.length ? el("li", {}, `and ${total - shown.length} more`) : null));
  }

  link(task) {
    return el("button", { type: "button", class: "link", onclick: () => this.act.open(task.id) }, `${task.agent} ${shortId(task.id)}`);
  }

  attempts() {
    const rows = this.about.attempts_made.map((each) => el("tr", {},
      el("td", {}, each.attempt || ""), el("td", {}, date(each.at)),
      el("td", { class: `s-${each.status}` }, `${MARKS[each.status] ?? ""} ${each.status}`), el("td", {}, oneLine(each.reason, 2000))));
    return [el("table", {}, el("thead", {}, el("tr", {}, ...["Attempt", "At", "Status", "Reason"].map((word) => el("th", { scope: "col" }, word)))), el("tbody", {}, ...rows)), ...this.traceback()];
  }

  log() {
    const { about: details } = this;
    return [el("p", {}, "What its processes wrote past Python: ", el("code", {}, details.log)),
      el("pre", { tabindex: "0" }, details.log_tail || "(nothing)")];
  }

  details() {
    const { about: details, model } = this;
    const run = model.runs.get(details.run);
    const link = (id) => (id && model.tasks.has(id) ? this.link(model.tasks.get(id)) : id);
    const budget = details.budget;
    const facts = {
      Asked: el("pre", { class: "prose", tabindex: "0" }, details.task), Items: this.items(),
      Id: details.id, "Started by": link(details.parent), Group: link(details.group), Continues: link(details.continues),
      Started: date(details.started_at), Queued: date(details.queued_at), Ended: date(details.ended_at),
      Node: details.node, Process: details.pid, "Works in": details.workdir || run?.working_dir, Run: run?.path ?? details.run,
      Host: details.host_pid ? `process ${details.host_pid}` : "gone", Team: run?.team,
      Requests: details.usage.requests || null, Silence: details.silence ? silence(details.silence) : null,
      Budget: budget ? ["turns", "tokens", "cost", "seconds"].filter((unit) => budget[unit] !== null).map((unit) => `${unit}: ${budget.left[unit]} of ${budget[unit]} left`).join(", ") : null,
    };
    return [el("dl", {}, ...Object.entries(facts).filter(([, value]) => value !== null && value !== undefined && value !== "")
      .flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])), ...this.failures(), ...this.traceback()];
  }

  // --- what a person does --------------------------------------------------------------------------------------------

  /** Give the keys to the field, now or when it is there: whether a task can be resumed is asked for. */
  writes() {
    this.isToWrite = true;
    this.draw();
    if (this.isGroup) put(this.receipt, "A group hears nothing itself. Open one of its tasks.");
  }

  async tell() {
    const task = this.model.tasks.get(this.id) ?? this.about;
    if (task && ENDED.has(task.status)) { await this.resume(); return; }
    const text = this.field.value;
    if (!text.trim()) return;
    await this.does("steer", { text }, (answer) => { this.field.value = ""; return answer.receipt; });
  }

  async resume() {
    put(this.receipt, "It is being continued …");
    await this.does("resume", { text: this.field.value }, (answer) => {
      this.field.value = "";
      if (answer.run) this.act.open(answer.run);
      return "It goes on in a run of its own, which ends with this dashboard.";
    });
  }

  async does(verb, body, done) {
    const id = this.id;
    try {
      const answer = await post(`/api/tasks/${encodeURIComponent(id)}/${verb}`, body);
      if (this.id === id) put(this.receipt, done(answer)); // else another task's words are in the field by now
    } catch (error) {
      if (this.id === id) put(this.receipt, error.message);
    }
  }
}

/** Ask once whether a task is to be stopped, and name what falls with it. */
export function askToStop(model, act, id) {
  const [task, ...others] = model.fallsWith(id);
  if (!task || task.id !== id || act.isReadOnly()) return;
  const dialog = byId("ask");
  const shown = others.slice(0, 20).map((each) => el("li", {}, `${oneLine(each.agent, 100)} ${shortId(each.id)} · ${oneLine(each.task, 100)}`));
  const more = others.length > shown.length ? [el("li", {}, `and ${others.length - shown.length} more`)] : [];
  const stop = el("button", { type: "button", class: "danger", "aria-keyshortcuts": "y", onclick: async () => {
    dialog.close();
    try { await post(`/api/tasks/${encodeURIComponent(id)}/stop`); } catch (error) { act.say(`It was not stopped: ${error.message}`); }
  } }, others.length ? `Stop all ${others.length + 1} ` : "Stop it ", el("kbd", { "aria-hidden": "true" }, "y"));
  const leave = el("button", { type: "button", "aria-keyshortcuts": "n", onclick: () => dialog.close() }, "Leave it ", el("kbd", { "aria-hidden": "true" }, "n"));
  dialog.replaceChildren(
    el("h2", { id: "ask-title" }, `Stop ${oneLine(task.agent, 100)} ${shortId(id)}?`),
    el("p", {}, others.length ? `With it ${others.length === 1 ? "falls what it has started:" : `fall ${others.length} tasks that it has started:`}` : "Nothing else falls with it."),
    el("ul", {}, ...shown, ...more),
    el("p", { class: "answers" }, stop, leave));
  dialog.onkeydown = (event) => { // as in `top`
    const button = { y: stop, n: leave }[event.key];
    if (button) { event.preventDefault(); button.click(); }
  };
  dialog.showModal();
  leave.focus();
}

function message(said) {
  const calls = said.calls.map((call) => el("pre", { class: "call" }, `${call.name}(${call.arguments})`));
  return el("li", { class: `m-${["system", "user", "assistant", "tool"].includes(said.role) ? said.role : "other"}` },
    el("h3", {}, said.role || "?"), said.text ? el("pre", { class: "prose" }, said.text) : null, ...calls);
}

function silence(seen) {
  const tools = seen.tools.map((tool) => `${tool.name} for ${span(tool.seconds)}`).join(", ");
  return el("pre", { tabindex: "0" }, [tools, seen.stack, seen.processes.map((each) => `${each.pid} ${each.name} ${each.state}`).join("\n"), seen.missing].filter(Boolean).join("\n"));
}
