// Model: all runs and tasks as the server tells them, in a tree, filtered and folded into the rows of the list.

import { ENDED, moment, tokensOf } from "./words.js";

const SAMPLES = 40;

const noSum = () => ({ counts: {}, tokens: 0, cost: 0, tasks: 0 });
const compared = (one, other) => (one < other ? -1 : one > other ? 1 : 0);

export class Model {
  runs = new Map();
  tasks = new Map();
  samples = new Map();
  folded = new Set();
  filter = "";
  past = false;
  late = 0; // how many milliseconds the server's clock is before this one
  rows = []; // {id, run, task, level, setSize, place, children}
  isStale = true;
  spans = new Map();
  sums = new Map();

  now() { return Date.now() - this.late; }

  /** The same, to the second: what only ticks is drawn anew once a second. */
  second() { return Math.floor(this.now() / 1000) * 1000; }

  /** Take everything anew. */
  reset(all) {
    this.late = Date.now() - Date.parse(all.now);
    this.runs = new Map(all.runs.map((run) => [run.id, run]));
    this.tasks = new Map(all.tasks.map((task) => [task.id, task]));
    this.samples = new Map(Object.entries(all.samples));
    this.isStale = true;
  }

  /** Take what has changed. */
  take(changes) {
    this.late = Date.now() - Date.parse(changes.now);
    for (const run of changes.runs) {
      this.runs.set(run.id, { ...this.runs.get(run.id), ...run });
      this.isStale = true;
    }
    for (const id of changes.runs_gone) { this.runs.delete(id); this.isStale = true; }
    for (const id of changes.gone) { this.tasks.delete(id); this.samples.delete(id); this.isStale = true; }
    for (const change of changes.changed) {
      const known = this.tasks.get(change.id);
      if (!known || change.status !== undefined || change.questions !== undefined) this.isStale = true;
      if (change.usage !== undefined) this.sums.clear();
      if (known) Object.assign(known, change);
      else this.tasks.set(change.id, change);
      const task = known ?? change;
      if (change.vitals && !ENDED.has(task.status) && change.vitals.cpu_percent !== null) {
        const ring = this.samples.get(change.id) ?? [];
        ring.push([this.now() / 1000, change.vitals.cpu_percent, change.vitals.memory_bytes]);
        if (ring.length > SAMPLES) ring.shift();
        this.samples.set(change.id, ring);
      }
    }
    if (this.filter) this.isStale = true;
  }

  /** The tasks that have not ended and that a stop takes along, the task itself first. */
  fallsWith(id) {
    const below = new Set([id]);
    const found = [];
    for (const task of this.tasks.values()) {
      if (task.id !== id && !below.has(task.parent)) continue;
      below.add(task.id);
      if (!ENDED.has(task.status)) found.push(task);
    }
    return found;
  }

  /** The tasks of a group; of any other task, none. */
  itemsOf(group) { return [...this.tasks.values()].filter((task) => task.group === group); }

  /** The questions that wait, the oldest first, each once. */
  questions() {
    const found = new Map();
    for (const task of this.tasks.values()) {
      if (!task.live || ENDED.has(task.status)) continue;
      for (const question of task.questions) if (!found.has(question.id)) found.set(question.id, question);
    }
    return [...found.values()].sort((one, other) => compared(one.asked_at, other.asked_at));
  }

  isShown(run) { return run && (this.past || !run.is_former); }

  /** What all shown tasks come to, or those of one run: all sums are of the same moment. */
  totals(runId = null) {
    if (!this.sums.size) {
      const all = noSum();
      this.sums.set(null, all);
      for (const task of this.tasks.values()) {
        const own = this.sums.get(task.run) ?? noSum();
        this.sums.set(task.run, own);
        for (const sum of this.isShown(this.runs.get(task.run)) ? [own, all] : [own]) {
          sum.counts[task.status] = (sum.counts[task.status] ?? 0) + 1;
          sum.tokens += tokensOf(task.usage);
          sum.cost += task.usage.cost;
          sum.tasks += 1;
        }
      }
    }
    return this.sums.get(runId) ?? noSum();
  }

  /** Make the rows anew, if something has changed that they depend on. */
  layOut() {
    if (!this.isStale) return false;
    this.isStale = false;
    const children = new Map();
    const tops = new Map([...this.runs.keys()].map((id) => [id, []]));
    for (const task of this.tasks.values()) {
      const owner = this.tasks.get(task.parent);
      const list = owner && owner.run === task.run ? children : tops;
      const key = list === children ? task.parent : task.run;
      if (!list.has(key)) list.set(key, []);
      list.get(key).push(task);
    }
    const fits = this.fitting(children, tops);
    const runs = [...this.runs.values()].filter((run) => this.isShown(run) && (!fits || fits.has(run.id)))
      .sort((one, other) => other.live - one.live || compared(other.started_at, one.started_at) || compared(other.id, one.id));
    const rows = [];
    const add = (list, level) => {
      const shown = fits ? list.filter((task) => fits.has(task.id)) : list;
      shown.forEach((task, index) => {
        const below = children.get(task.id) ?? [];
        rows.push({ id: task.id, run: task.run, task, level, place: index + 1, setSize: shown.length, children: below.length });
        if (below.length && !(this.folded.has(task.id) && !fits)) add(below, level + 1);
      });
    };
    runs.forEach((run, index) => {
      const list = tops.get(run.id) ?? [];
      rows.push({ id: run.id, run: run.id, task: null, level: 1, place: index + 1, setSize: runs.length, children: list.length });
      if (!(this.folded.has(run.id) && !fits)) add(list, 2);
    });
    this.rows = rows;
    this.spans = new Map();
    this.sums = new Map();
    return true;
  }

  /** The ids of tasks that fit the filter, with those who own them and their runs; null: there is no filter. */
  fitting(children, tops) {
    const words = this.filter.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return null;
    const found = new Set();
    const look = (task) => {
      const isBelow = (children.get(task.id) ?? []).map(look).some(Boolean);
      const isFit = words.every((word) => this.fits(task, word));
      if (isBelow || isFit) found.add(task.id);
      return isBelow || isFit;
    };
    for (const [run, list] of tops) if (list.map(look).some(Boolean)) found.add(run);
    return found;
  }

  fits(task, word) {
    const [key, value] = word.includes(":") ? word.split(/:(.*)/s) : ["", word];
    if (key === "status") return task.status.startsWith(value);
    if (key === "agent") return task.agent.toLowerCase().includes(value);
    if (key === "run") return task.run.toLowerCase().includes(value);
    return [task.agent, task.id, task.status, task.task, task.words, task.reason]
      .some((text) => text.toLowerCase().includes(word));
  }

  /** When a run's first task began, and when its last ended or is: both in milliseconds. */
  spanOf(runId) {
    let known = this.spans.get(runId);
    if (!known) {
      let first = Infinity;
      let last = 0;
      let runs = false;
      for (const task of this.tasks.values()) {
        if (task.run !== runId) continue;
        const began = moment(task.queued_at) ?? moment(task.started_at);
        if (began !== null && began < first) first = began;
        const ended = moment(task.ended_at);
        if (ended !== null && ended > last) last = ended;
        if (!ENDED.has(task.status)) runs = true;
      }
      known = { first, last, runs };
      this.spans.set(runId, known);
    }
    const now = Math.max(this.second(), known.first === Infinity ? 0 : known.first);
    return { first: known.first === Infinity ? now : known.first, last: known.runs ? now : Math.max(known.last, known.first) };
  }

  /** Seconds that a task has run. */
  ranFor(task) {
    const began = moment(task.started_at);
    if (began === null) return null;
    return Math.max(0, ((moment(task.ended_at) ?? this.second()) - began) / 1000);
  }
}
