// What a preflight, a mend, a look inside or a full size came to, on one card.
import { $, h, setText, percent, count, magnitude } from "./dom.js";
import { ask, listen } from "./api.js";
import { Plot, ticks } from "./plot.js";

const SIGNS = { healthy: "✓", "at risk": "!", "will not train": "✕", unknown: "?" };
const TITLES = { preflight: "Preflight", mend: "Mend", look: "Look inside", "full-size": "Full size" };
const ENDS = ["done", "refused", "failed", "stopped"];

// Ask for work, show how far it is on a card, and return its last event.
export function work(order, title, draw) {
  const bar = h("progress", { max: 1, "aria-label": `Progress: ${title}` }), text = h("p", { class: "work-words", role: "status" }, "asking …");
  const log = h("ol", { class: "trying" });
  let id = null;
  const stop = h("button", { type: "button", class: "small", onclick: () => (ENDS.includes(card.dataset.state) ? card.remove() : id && ask(`/api/jobs/${id}`, undefined, "DELETE").catch(() => {})) }, "Stop");
  const card = h("article", { class: "card result", "data-kind": order.kind, "data-state": "waiting" },
    h("div", { class: "card-head" }, h("h3", {}, TITLES[order.kind]), h("span", { class: "quiet" }, title), stop), text, bar, log);
  for (const old of document.querySelectorAll(`#results .result[data-kind="${order.kind}"]`)) if (!["waiting", "running"].includes(old.dataset.state)) old.remove();
  $("#results").prepend(card);
  return new Promise((finish) => {
    const hear = (event) => {
      if (event.event === "waiting") setText(text, `In line: ${event.place}. It starts when those before it are done.`);
      if (event.event === "started") Object.assign(card.dataset, { state: "running" }), setText(text, "starting …");
      if (event.event === "begin") setText(text, "training");
      if (event.event === "steps") bar.value = event.losses[event.losses.length - 1][0] / order.setting.steps;
      if (event.event === "progress") tellProgress(event, { text, bar, log });
      if (!ENDS.includes(event.event)) return;
      card.dataset.state = event.event;
      bar.remove();
      log.remove();
      text.remove();
      setText(stop, "Close");
      if (event.event === "done") draw(card, event);
      else card.append(ending(event));
      finish(event);
    };
    ask("/api/jobs", order).then((job) => { id = job.id; listen(id, hear); }, (problem) => hear(problem.status === 422 ? { event: "refused", ...problem, given: problem.given } : { event: "failed", message: problem.message }));
  });
}

function tellProgress(event, { text, bar, log }) {
  setText(text, event.trial ? "trying remedies, each by training it" : event.text);
  if (event.total > 1) bar.value = event.done / event.total;
  if (!event.trial) return;
  let row = $(`[data-trial="${event.trial}"]`, log);
  if (!row) {
    row = h("li", { "data-trial": event.trial }, h("span", {}, event.text), h("i", { "aria-hidden": "true" }));
    log.append(row);
    while (log.children.length > 5) log.firstChild.remove();
  }
  $("i", row).style.setProperty("--share", event.done / event.total);
  bar.value = event.done / event.total;
}

function ending(event) {
  if (event.event === "stopped") return h("p", { class: "ending stopped" }, "Stopped before it was done. Nothing was changed.");
  if (event.event === "refused") return h("p", { class: "ending refused" }, [event.given, event.expected, event.mend].map((part) => String(part).replace(/[.\s]*$/, ". ")).join(""));
  return h("p", { class: "ending failed" }, event.message);
}

export function verdict(check, more = "") {
  return h("div", { class: `banner ${check.verdict.replaceAll(" ", "-")}` }, h("p", { class: "verdict" }, h("span", { class: "sign", "aria-hidden": "true" }, SIGNS[check.verdict]), h("strong", {}, check.verdict), more && h("span", { class: "quiet" }, more)), h("p", {}, check.sentence));
}

export function drawPreflight(card, { check }) {
  card.append(verdict(check), findings(check), notes(check));
}

function findings(check) {
  return h("ul", { class: "findings", hidden: !check.findings.length }, ...check.findings.map((one) => h("li", { class: one.severity.replaceAll(" ", "-") }, h("strong", {}, one.title), h("p", {}, one.sentence), h("p", { class: "quiet" }, one.consequence))));
}

function notes(check) {
  return h("details", { hidden: !check.notes.length }, h("summary", {}, "How it was measured"), ...check.notes.map((note) => h("p", { class: "quiet" }, note)));
}

// Remedies with what came of each, and a button on those that can be applied.
export function drawMend(card, result, apply) {
  const head = result.proved === null
    ? h("p", { class: "lead-words" }, result.needed ? "No remedy was proved to work here." : "There is nothing to mend: it trains as it is.")
    : h("p", { class: "lead-words" }, h("span", { class: "sign good", "aria-hidden": "true" }, "✓"), h("strong", {}, result.tried[result.proved].title), " mends it.");
  const order = { proved: 0, "helped less": 1, "did not help": 2, "not tried": 3 };
  const sorted = [...result.tried].sort((a, b) => order[a.outcome] - order[b.outcome] || (a.loss ?? Infinity) - (b.loss ?? Infinity));
  const row = (one) => h("li", { class: `remedy ${one.outcome.replaceAll(" ", "-")}` },
    h("div", { class: "remedy-head" }, h("strong", {}, one.title), h("span", { class: "chip" }, one.outcome), one.code && h("button", { type: "button", class: one.outcome === "proved" ? "small strong" : "small", onclick: () => apply(one) }, "Apply and train")),
    h("p", { class: "quiet" }, one.came),
    h("details", {}, h("summary", {}, one.code ? "Why, and the code to paste" : "Why"), h("p", {}, one.why), one.code && h("pre", { tabindex: 0 }, h("code", {}, one.code))));
  const first = sorted.slice(0, result.proved === null ? 0 : 1), others = sorted.slice(first.length), wide = matchMedia("(min-width: 1180px)").matches;
  card.append(head, h("p", { class: "evidence" }, result.evidence), h("ol", { class: "remedies" }, ...first.map(row)));
  if (others.length) card.append(h("details", { open: wide || !first.length }, h("summary", {}, `${others.length} ${first.length ? "others that were" : "that were"} looked at`), h("ol", { class: "remedies" }, ...others.map(row))));
}

export function drawLook(card, result) {
  const host = h("div", { class: "plot inside" }), names = Object.keys(result.before);
  card.append(h("p", { class: "lead-words" }, result.after ? "What a linear reader finds in each layer, before training (thin) and after." : "What a linear reader finds in each layer at the start."), host,
    h("p", { class: "legend" }, ...names.map((name, place) => h("span", { class: "entry" }, h("i", { class: `key line tone-${place + 1}`, "aria-hidden": "true" }), `${name}; the commonest is ${percent(result.chance[name])}`))), ...lookWords(result, names));
  const plot = new Plot(host, { title: "Share of right answers of a linear reader by layer", left: 46, top: 12 });
  const marks = names.flatMap((name, place) => [
    { key: `before-${name}`, kind: "line", className: `curve before tone-${place + 1}`, points: result.at.map((at, index) => [at, result.before[name][index]]) },
    ...(result.after ? [{ key: name, kind: "line", className: `curve tone-${place + 1}`, points: result.at.map((at, index) => [at, result.after[name][index]]) }, { key: `dots-${name}`, kind: "dots", className: `curve-dots tone-${place + 1}`, points: result.at.map((at, index) => [at, result.after[name][index]]) }] : [])]);
  const xs = result.at.map((at) => ({ at, text: at === 0 ? "input" : String(at) }));
  plot.draw({ x: { domain: [0, result.depth], ticks: xs, label: "layer" }, y: { domain: [1, 0], ticks: ticks(0, 1, 4, percent), label: "" }, marks });
}

function lookWords(result, names) {
  if (!result.after) return [];
  const best = names.map((name) => { const row = result.after[name], place = row.indexOf(Math.max(...row)); return `${name} is read best at ${place === 0 ? "the input" : `layer ${result.at[place]}`} (${percent(row[place])}, before training ${percent(result.before[name][place])})`; });
  return [h("p", { class: "evidence" }, `${best.join("; ")}.`)];
}

export function drawFullSize(card, result) {
  const { check } = result, first = check.profile.values.gradient?.[0];
  card.append(h("p", { class: "lead-words" }, h("strong", {}, count(check.facts.num_parameters)), ` parameters, ${check.profile.depth} blocks, `, h("strong", {}, `${result.seconds} s`), ", and no weight was made."), verdict(check), h("div", { class: "plot inside" }), h("p", { class: "evidence" }, `The gradient arrives at block 1 at ${magnitude(first)} times its size at the last.`), findings(check), notes(check));
  const plot = new Plot($(".inside", card), { title: "Signal and gradient by block at full size", left: 52, top: 12 }), { profile } = check;
  const values = ["signal", "gradient"].flatMap((name) => profile.values[name] ?? []).filter((value) => value !== null);
  const low = Math.floor(Math.min(-1, ...values)), high = Math.ceil(Math.max(1, ...values));
  const marks = ["signal", "gradient"].filter((name) => profile.values[name]).map((name) => ({ key: name, kind: "dots", className: `dots ${name}`, points: profile.at.map((at, place) => [at, profile.values[name][place]]) }));
  if (check.forecast) for (const name of ["signal", "gradient"]) if (check.forecast.values[name]) marks.unshift({ key: `line-${name}`, kind: "line", className: `line ${name}`, points: check.forecast.at.map((at, place) => [at, check.forecast.values[name][place]]) });
  plot.draw({ x: { domain: [1, profile.depth], ticks: ticks(1, profile.depth, 6), label: "block: theory as a line, what was sampled as dots" }, y: { domain: [high, low], ticks: ticks(low, high, 5, (at) => magnitude(at)), label: "" }, marks });
}
