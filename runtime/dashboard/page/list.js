// List: the tree of tasks as a table. Only the rows in sight are in the document, whatever there is.

import { byId, draw, el, oneLine, put, set } from "./dom.js";
import { ENDED, MARKS, amount, bytes, dollars, moment, shortId, span, tokensOf } from "./words.js";

const HEIGHT = 28;
const SPARE = 4; // rows above and below those in sight
const COLUMNS = ["task", "status", "time", "bar", "doing", "words", "tokens", "cost", "cpu", "memory"];
const HEADS = { bar: "Time line", words: "Last words", cpu: "CPU" };

export class List {
  views = []; // of the rows in sight
  focused = null; // id
  open = null; // id of the task that is shown beside

  constructor(model, act) {
    this.model = model;
    this.act = act;
    this.tree = byId("tasks");
    this.scroll = byId("scroll");
    this.holder = byId("rows");
    byId("head").append(...COLUMNS.map((name) =>
      el("div", { role: "columnheader", class: `c-${name}` }, HEADS[name] ?? name[0].toUpperCase() + name.slice(1))));
    set(this.tree, "aria-colcount", COLUMNS.length);
    this.scroll.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(this.scroll);
    this.holder.addEventListener("focusin", (event) => {
      this.focused = this.views.find((view) => view.element.contains(event.target))?.id ?? this.focused;
    });
  }

  /** Show the rows that are in sight, as they are now. */
  draw() {
    const { rows } = this.model;
    const seen = Math.ceil(this.scroll.clientHeight / HEIGHT) + 2 * SPARE;
    let first = Math.max(0, Math.floor(this.scroll.scrollTop / HEIGHT) - SPARE);
    first = Math.max(0, Math.min(first, rows.length - seen));
    const last = Math.min(rows.length, first + seen);
    byId("above").style.height = `${first * HEIGHT}px`;
    byId("below").style.height = `${(rows.length - last) * HEIGHT}px`;
    set(this.tree, "aria-rowcount", rows.length + 1);
    if (!rows.some((row) => row.id === this.focused)) this.focused = rows[0]?.id ?? null;
    const before = new Map(this.views.map((view) => [view.id, view]));
    const views = [];
    for (let index = first; index < last; index += 1) {
      const row = rows[index];
      const view = before.get(row.id) ?? new Row(row.id, this);
      before.delete(row.id);
      view.show(row, index);
      views.push(view);
    }
    const hadFocus = this.holder.contains(document.activeElement);
    for (const view of before.values()) view.element.remove();
    views.forEach((view, place) => {
      if (this.holder.children[place] !== view.element) this.holder.insertBefore(view.element, this.holder.children[place] ?? null);
    });
    this.views = views;
    if (hadFocus && !this.holder.contains(document.activeElement)) this.focus(this.focused, false);
  }

  /** Give a row the keys. */
  focus(id, scrolls = true) {
    const place = this.model.rows.findIndex((row) => row.id === id);
    if (place < 0) return;
    this.focused = id;
    if (scrolls) {
      const top = place * HEIGHT;
      if (top < this.scroll.scrollTop) this.scroll.scrollTop = top;
      else if (top + HEIGHT > this.scroll.scrollTop + this.scroll.clientHeight) this.scroll.scrollTop = top + HEIGHT - this.scroll.clientHeight;
    }
    this.draw();
    this.views.find((view) => view.id === id)?.element.focus({ preventScroll: true });
  }

  fold(id, folds) {
    if (folds) this.model.folded.add(id);
    else this.model.folded.delete(id);
    this.model.isStale = true;
    this.act.changed();
  }

  /** Take a key that moves, folds or opens; return whether it was one. */
  key(event) {
    const { rows, folded } = this.model;
    const place = rows.findIndex((row) => row.id === this.focused);
    const row = rows[place];
    if (!row) return false;
    const page = Math.max(1, Math.floor(this.scroll.clientHeight / HEIGHT) - 1);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -rows.length, End: rows.length };
    if (event.key in moves) {
      this.focus(rows[Math.max(0, Math.min(rows.length - 1, place + moves[event.key]))].id);
    } else if (event.key === "ArrowRight") {
      if (row.children && folded.has(row.id)) this.fold(row.id, false);
      else if (row.children) this.focus(rows[place + 1].id);
    } else if (event.key === "ArrowLeft") {
      if (row.children && !folded.has(row.id)) this.fold(row.id, true);
      else for (let above = place - 1; above >= 0; above -= 1) {
        if (rows[above].level < row.level) { this.focus(rows[above].id); break; }
      }
    } else if (event.key === " ") {
      if (row.children) this.fold(row.id, !folded.has(row.id));
    } else if (event.key === "Enter") {
      if (row.task) this.act.open(row.id);
    } else return false;
    return true;
  }
}

/** One row in the document. Nothing in it is touched that is as it was. */
class Row {
  constructor(id, list) {
    this.id = id;
    this.list = list;
    this.cells = Object.fromEntries(COLUMNS.map((name) => [name, el("div", { role: name === "task" ? "rowheader" : "gridcell", class: `c-${name}` })]));
    this.twist = el("span", { class: "twist", "aria-hidden": "true" });
    this.agent = el("span", { class: "agent" });
    this.short = el("span", { class: "id" });
    this.cells.task.append(this.twist, this.agent, this.short);
    this.mark = el("span", { class: "mark", "aria-hidden": "true" });
    this.word = el("span", { class: "word" });
    this.cells.status.append(this.mark, this.word);
    this.what = el("span", { class: "what" });
    this.age = el("span", { class: "age" });
    this.cells.doing.append(this.what, this.age);
    this.queued = draw("rect", { class: "queued", y: 2, height: 6 });
    this.bar = draw("rect", { class: "ran", y: 0, height: 10 });
    this.waits = draw("rect", { class: "waits", y: 0, height: 10 });
    this.cells.bar.append(draw("svg", { viewBox: "0 0 1000 10", preserveAspectRatio: "none", "aria-hidden": "true", class: "line" }, this.queued, this.bar, this.waits));
    this.axis = el("span", { class: "axis", "aria-hidden": "true" });
    [this.line, this.figure] = this.spark(this.cells.cpu);
    [this.memoryLine, this.memory] = this.spark(this.cells.memory);
    this.element = el("div", { role: "row", class: "row", id: `row-${id}`, onclick: (event) => this.click(event) }, ...Object.values(this.cells));
    this.isRun = null;
  }

  spark(cell) {
    const line = draw("polyline", { fill: "none" });
    const figure = el("span", {});
    cell.append(draw("svg", { viewBox: "0 0 40 14", preserveAspectRatio: "none", "aria-hidden": "true", class: "spark" }, line), figure);
    return [line, figure];
  }

  click(event) {
    this.list.focused = this.id;
    if (event.target === this.twist && this.row.children) this.list.fold(this.id, !this.list.model.folded.has(this.id));
    else if (this.row.task) this.list.act.open(this.id);
    else this.list.fold(this.id, !this.list.model.folded.has(this.id));
    this.element.focus({ preventScroll: true });
  }

  show(row, index) {
    this.row = row;
    const { element, list } = this;
    const folded = list.model.folded.has(row.id) && !list.model.filter;
    set(element, "aria-rowindex", index + 2);
    set(element, "aria-level", row.level);
    set(element, "aria-posinset", row.place);
    set(element, "aria-setsize", row.setSize);
    set(element, "aria-expanded", row.children ? String(!folded) : null);
    set(element, "aria-selected", String(row.id === list.open));
    set(element, "tabindex", row.id === list.focused ? 0 : -1);
    put(this.twist, row.children ? (folded ? "▸" : "▾") : "");
    if (this.level !== row.level) {
      this.level = row.level;
      this.cells.task.style.paddingInlineStart = `${(row.level - 1) * 14}px`;
    }
    if (row.task) this.showTask(row.task);
    else this.showRun(list.model.runs.get(row.id));
  }

  showRun(run) {
    const { model } = this.list;
    const sum = model.totals(run.id);
    set(this.element, "class", `row run${run.live ? "" : " over"}`);
    put(this.agent, oneLine(run.team && !run.team.startsWith("<") ? run.team.replace(/^.*\//, "") : run.command || run.id));
    put(this.short, oneLine([run.team.startsWith("<") ? "" : run.command, run.live ? `process ${run.host_pid}` : "has ended", run.id.slice(-8)].filter(Boolean).join(" · ")));
    set(this.cells.task, "title", oneLine(`${run.path} · ${run.team} · ${run.working_dir}`));
    put(this.mark, run.live ? "▶" : "▪");
    put(this.word, run.live ? "live" : "over");
    const { first, last } = model.spanOf(run.id);
    put(this.cells.time, sum.tasks ? span((last - first) / 1000) : "");
    if (!this.axis.isConnected) this.cells.bar.replaceChildren(this.axis);
    put(this.axis, sum.tasks ? `0s ┄ ${span((last - first) / 2000)} ┄ ${span((last - first) / 1000)}` : "");
    const counts = Object.keys(MARKS).filter((status) => sum.counts[status]).map((status) => `${sum.counts[status]} ${status}`).join(", ");
    this.showDoing(counts);
    put(this.cells.words, oneLine(run.warning || run.working_dir));
    put(this.cells.tokens, sum.tokens ? `Σ${amount(sum.tokens)}` : "");
    put(this.cells.cost, dollars(sum.cost));
    put(this.memory, "");
    put(this.figure, "");
  }

  showTask(task) {
    const { model } = this.list;
    set(this.element, "class", `row s-${task.status}${task.live ? "" : " over"}`);
    put(this.agent, oneLine(task.agent, 200));
    put(this.short, shortId(task.id));
    put(this.mark, MARKS[task.status] ?? "·");
    put(this.word, task.status === "queued" && task.queue_place ? `queued ${task.queue_place}` : task.attempts > 1 ? `${task.status} ×${task.attempts}` : task.status);
    const ran = model.ranFor(task);
    put(this.cells.time, ran === null ? "" : span(ran));
    this.showBar(task);
    this.showDoing(...this.doing(task));
    const why = ENDED.has(task.status) && task.status !== "completed" ? task.reason : "";
    const words = oneLine(why || task.words || task.task);
    put(this.cells.words, words);
    set(this.cells.words, "title", words);
    const own = tokensOf(task.usage);
    const all = tokensOf(task.total_usage);
    put(this.cells.tokens, all > own ? `Σ${amount(all)} ${amount(own)}` : own ? amount(own) : "");
    put(this.cells.cost, dollars(task.total_usage.cost));
    this.showVitals(task);
  }

  showDoing(what, age = "") {
    put(this.what, what);
    put(this.age, age);
    set(this.cells.doing, "title", what);
  }

  /** What a task is at, and for how long: that has room whatever the other takes. */
  doing(task) {
    if (ENDED.has(task.status)) return [""];
    if (task.questions.length) return ["asks"];
    if (task.progress) {
      const { done, total, note } = task.progress;
      return [oneLine(`${done}${total ? `/${total}` : ""} ${note}`, 200)];
    }
    const since = (iso) => (moment(iso) === null ? "" : ` ${span((this.list.model.second() - moment(iso)) / 1000)}`);
    const age = since(task.doing_began_at);
    if (task.tools.length) return [oneLine([...new Set(task.tools.map((tool) => tool.name))].join(", "), 200), age];
    if (task.doing === "waiting for its model") return ["model", age];
    if (task.silent_since) return ["silent", since(task.silent_since)];
    return task.doing ? [oneLine(task.doing, 200), age] : [""];
  }

  showBar(task) {
    const { first, last } = this.list.model.spanOf(task.run);
    const scale = 1000 / Math.max(1, last - first);
    const queued = moment(task.queued_at);
    const began = moment(task.started_at);
    const until = moment(task.ended_at) ?? this.list.model.second();
    const place = (rect, from, to) => {
      const x = Math.max(0, (from - first) * scale);
      set(rect, "x", x.toFixed(1));
      set(rect, "width", Math.max(2, Math.min(1000 - x, (to - from) * scale)).toFixed(1));
      set(rect, "visibility", null);
    };
    const waits = task.status === "waiting" ? waitsSince(task) : null;
    if (began === null) set(this.bar, "visibility", "hidden");
    else place(this.bar, began, waits ?? until);
    if (waits === null) set(this.waits, "visibility", "hidden");
    else place(this.waits, waits, until);
    if (queued === null) set(this.queued, "visibility", "hidden");
    else place(this.queued, queued, began ?? until);
  }

  showVitals(task) {
    const { vitals } = task;
    const ring = this.list.model.samples.get(task.id);
    const ended = ENDED.has(task.status);
    put(this.figure, !ended && vitals && vitals.cpu_percent !== null ? `${Math.round(vitals.cpu_percent)}%` : "");
    put(this.memory, vitals && vitals.memory_bytes ? bytes(vitals.memory_bytes) : "");
    const latest = ring ? ring[ring.length - 1][0] : 0;
    if (this.drawn === latest) return;
    this.drawn = latest;
    set(this.line, "points", ring ? points(ring.map((sample) => sample[1]), 40, 14, 100) : "");
    set(this.memoryLine, "points", ring ? points(ring.map((sample) => sample[2]), 40, 14, 1e6) : "");
  }
}

/** When a task that waits has begun to: with the first of its questions, or with what it is at. */
function waitsSince(task) {
  const asked = task.questions.map((question) => moment(question.asked_at)).filter((at) => at !== null);
  return asked.length ? Math.min(...asked) : moment(task.doing_began_at);
}

/** The points of a line through figures, the newest at the right. */
export function points(figures, width, height, least) {
  const most = Math.max(least, ...figures);
  const step = width / Math.max(1, Math.max(figures.length, 10) - 1);
  return figures.map((figure, index) =>
    `${(width - (figures.length - 1 - index) * step).toFixed(1)},${(height - 1 - (figure / most) * (height - 2)).toFixed(1)}`).join(" ");
}
