// Words: how numbers, times and statuses are shown.

export const MARKS = {
  queued: "◌", starting: "◔", running: "●", waiting: "?", stopping: "◑", restarting: "↻",
  completed: "✓", failed: "✗", stopped: "■",
};
export const ENDED = new Set(["completed", "failed", "stopped"]);

/** A duration in seconds: 48s, 2:09, 1:02:09. */
export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** A number of tokens, or anything else: 900, 14k, 2.9M. */
export function amount(number) {
  if (number < 1000) return String(number);
  if (number < 1e6) return `${number < 1e4 ? (number / 1e3).toFixed(1) : Math.round(number / 1e3)}k`;
  return `${(number / 1e6).toFixed(number < 1e7 ? 1 : 0)}M`;
}

export function bytes(number) {
  if (number < 1e6) return `${Math.round(number / 1e3)} kB`;
  return number < 1e9 ? `${(number / 1e6).toFixed(number < 1e7 ? 1 : 0)} MB` : `${(number / 1e9).toFixed(1)} GB`;
}

export function dollars(number) {
  if (!number) return "";
  return number < 0.01 ? "<$0.01" : `$${number.toFixed(2)}`;
}

export const tokensOf = (usage) => usage.input_tokens + usage.output_tokens;
export const shortId = (id) => id.replace(/^agent_task_/, "");
export const plural = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

/** The date and the time here: 2026-01-31 12:00:00. */
export function date(iso) {
  if (!iso) return "";
  const at = new Date(iso);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace("T", " ");
}

/** A time of the day, with the date if that is not today. */
export function clock(iso) {
  if (!iso) return "";
  const date = new Date(iso);
  const time = date.toLocaleTimeString([], { hour12: false });
  return date.toDateString() === new Date().toDateString() ? time : `${date.toLocaleDateString()} ${time}`;
}

/** Milliseconds of a time as the API has it, read once. */
const moments = new Map();
export function moment(iso) {
  if (!iso) return null;
  let found = moments.get(iso);
  if (found === undefined) {
    if (moments.size > 50_000) moments.clear();
    found = Date.parse(iso);
    moments.set(iso, found);
  }
  return found;
}
