// Questions: what tasks ask and wait for, first of all on the page, each with a way to answer.

import { post } from "./api.js";
import { byId, el, whole, wholeLine } from "./dom.js";
import { clock, plural, shortId } from "./words.js";

export class Questions {
  shown = new Map(); // by the id of the question

  constructor(model, act) {
    this.model = model;
    this.act = act;
    this.section = byId("questions");
    this.head = el("h2", {});
    this.list = el("ul", {});
    this.section.append(this.head, this.list);
  }

  draw() {
    const asked = this.model.questions();
    this.section.hidden = asked.length === 0;
    this.head.textContent = `${plural(asked.length, "question")} ${asked.length === 1 ? "waits" : "wait"} for you`;
    const wanted = new Set(asked.map((question) => question.id));
    for (const [id, item] of this.shown) {
      if (wanted.has(id)) continue;
      if (item.contains(document.activeElement)) this.act.back(); // the keys would be nobody's
      item.remove();
      this.shown.delete(id);
    }
    for (const question of asked) {
      if (!this.shown.has(question.id)) {
        const item = el("li", {}, form(question, this.act));
        this.shown.set(question.id, item);
        this.list.append(item);
      }
    }
  }

  /** Give the keys to the first question: to its field, or to the first of its choices. */
  focus() {
    (this.list.querySelector(".answers > *") ?? this.list.querySelector(".asked"))?.focus();
  }
}

/** A question with its choices, or a field for any text. All of it is shown: nobody is to approve what is not seen. */
export function form(question, act) {
  const send = async (text, button) => {
    button.disabled = true;
    try {
      await post(`/api/tasks/${encodeURIComponent(question.task_id)}/answer`, { question: question.id, text });
      act.say("");
    } catch (error) {
      button.disabled = false;
      act.say(`The answer was not taken: ${error.message}`);
    }
  };
  const who = el("p", { class: "who" },
    el("button", { type: "button", class: "link", onclick: () => act.open(question.task_id) }, `${question.agent || "orchestrator"} ${shortId(question.task_id)}`),
    question.kind === "approval" ? " wants to call a tool" : question.to === "owner" ? " asks whoever started it" : " asks",
    question.deadline ? ` until ${clock(question.deadline)}` : "",
    ...(question.default === null ? [] : [", then: ", wholeLine(question.default)]));
  const text = el("pre", { class: "asked", tabindex: "0" }, whole(question.text));
  if (act.isReadOnly()) return el("div", {}, who, text);
  const parts = [];
  for (const choice of question.choices) {
    parts.push(el("button", { type: "button", onclick: (event) => send(choice, event.currentTarget) }, wholeLine(choice)));
  }
  if (!question.choices.length) {
    const field = el("textarea", { rows: 1, "aria-label": `Answer to ${question.agent}`, placeholder: question.schema ? "JSON" : "answer" });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); button.click(); }
    });
    const button = el("button", { type: "button", onclick: (event) => send(field.value, event.currentTarget) }, "Answer");
    parts.push(field, button);
  }
  return el("div", {}, who, text, el("p", { class: "answers" }, ...parts));
}
