// What the page asks of the lab, and whether the lab is there.
const visitor = (() => {
  const made = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const name = sessionStorage.getItem("visitor") ?? made();
  sessionStorage.setItem("visitor", name);
  return name;
})();

const listeners = new Set();
let state = "there"; // or "lost", or "back"
export function onConnection(listener) {
  listeners.add(listener);
  listener(state);
}

function become(next) {
  if (next === state) return;
  state = next;
  for (const listener of listeners) listener(state);
}

let waiting = null;
function lost() {
  become("lost");
  waiting ??= setTimeout(lookAgain, 700);
}

async function lookAgain() {
  waiting = null;
  try {
    await fetch("/api/beginning", { method: "HEAD" });
    found();
  } catch {
    lost();
  }
}

function found() {
  if (state !== "lost") return;
  become("back");
  setTimeout(() => { if (state === "back") become("there"); }, 4000);
}

export class Refusal extends Error {
  constructor(status, words) {
    super(words.error ?? "The lab did not answer.");
    Object.assign(this, { status, mend: words.mend ?? "", given: words.given ?? "", expected: words.expected ?? "" });
  }
}

export async function ask(path, body, method = body === undefined ? "GET" : "POST") {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: { "X-Fathometer-Visitor": visitor, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    lost();
    throw new Refusal(0, { error: "The lab does not answer. Is `fathometer lab` still running?" });
  }
  found();
  const words = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refusal(answer.status, words);
  return words;
}

// Listen to a piece of work to its end: `hear` gets each event once, also after the connection was lost and came back.
export function listen(id, hear) {
  const source = new EventSource(`/api/jobs/${id}/events`);
  let heard = -1;
  source.onopen = found;
  source.onmessage = (message) => {
    const number = Number(message.lastEventId);
    if (number <= heard) return;
    heard = number;
    const event = JSON.parse(message.data);
    if (["done", "refused", "failed", "stopped"].includes(event.event)) source.close();
    hear(event);
  };
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED) return lost();
    hear({ event: "failed", message: "The lab was started anew, and knows nothing of this any more." });
  };
  return source;
}
