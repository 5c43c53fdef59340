// API: asks the server, and reads its stream of changes. The token never leaves this origin but in a header.

const KEY = "subactors-token";

/** Take the token out of the address, if it is there. It is this tab's alone until the server has taken it. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, "", location.pathname + location.search);
  }
}

const token = () => sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? "";

/** Fetch with the token; one that the server takes is every tab's from then on, one that it refuses is forgotten. */
async function asked(path, options = {}) {
  const given = sessionStorage.getItem(KEY);
  const answer = await fetch(path, { ...options, headers: { ...options.headers, Authorization: `Bearer ${token()}` } });
  if (given !== null && given === sessionStorage.getItem(KEY)) {
    if (answer.ok) localStorage.setItem(KEY, given);
    if (answer.ok || answer.status === 401) sessionStorage.removeItem(KEY);
  }
  return answer;
}

/** The server does not want to be asked by this page. */
export class Refused extends Error {}

async function checked(answer) {
  if (answer.ok) return answer;
  let why = answer.statusText || `status ${answer.status}`;
  try { why = (await answer.json()).error ?? why; } catch { /* it says nothing more */ }
  const error = answer.status === 401 ? new Refused(why) : new Error(why);
  error.status = answer.status;
  throw error;
}

export async function get(path) {
  return (await checked(await asked(path))).json();
}

export async function post(path, body = {}) {
  const answer = await asked(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return (await checked(answer)).json();
}

/** Read a stream of events until it ends: `take(event, data, id)`. `EventSource` could send no header. */
export async function stream(path, take, signal) {
  const answer = await checked(await asked(path, { signal }));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let silent;
  const watch = () => {
    clearTimeout(silent);
    silent = setTimeout(() => reader.cancel("silent"), 40_000); // a sign of life comes every 15 s
  };
  try {
    for (;;) {
      watch();
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const event = { name: "message", data: "", id: "" };
        for (const line of part.split("\n")) {
          const [field, ...text] = line.split(": ");
          if (field === "event") event.name = text.join(": ");
          else if (field === "data") event.data += text.join(": ");
          else if (field === "id") event.id = text.join(": ");
        }
        if (event.data) take(event.name, JSON.parse(event.data), event.id);
      }
    }
  } finally {
    clearTimeout(silent);
  }
}
