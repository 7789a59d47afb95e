// Training runs side by side: curves, a heatmap for each, and every way to end.
import { $, h, setText, percent, count } from "./dom.js";
import { ask, listen } from "./api.js";
import { Heat, NAMES, ramp } from "./heat.js";
import { Plot, ticks } from "./plot.js";

const MOST = 4; // as many colours as can be told apart
const ENDS = ["done", "refused", "failed", "stopped"];
const NORM_WORDS = { none: "", layer: ", LayerNorm", rms: ", RMSNorm", batch: ", BatchNorm" };

export function nameOf(setting) {
  const stream = setting.residual === "none" ? "" : setting.residual === "plain" ? ", residual" : `, ${setting.residual}`;
  return `${setting.depth} × ${setting.width} ${setting.family === "mlp" ? setting.activation : setting.family}${stream}${NORM_WORDS[setting.norm] ?? ""}`;
}

export class Runs {
  constructor(ended) {
    this.ended = ended;
    this.list = [];
    this.loss = new Plot($("#loss"), { title: "Training loss of each run by step", left: 44, top: 12 });
    this.accuracy = new Plot($("#accuracy"), { title: "Held-out accuracy of each run by step", left: 44, top: 12 });
    this.column = "gradient";
    $("#heat-column").addEventListener("change", (event) => {
      this.column = event.target.value;
      for (const run of this.list) run.heat.show(this.column);
      for (const run of this.list) $(".heat-foot", run.card).replaceChildren(...this.foot());
    });
    this.draw();
  }

  // Start a run and return a promise of its last event.
  start(order, name) {
    return new Promise((finish) => {
      while (this.list.length >= MOST && this.drop()) { /* the oldest ended run makes room */ }
      const tone = [1, 2, 3, 4].find((one) => !this.list.some((run) => run.tone === one)) ?? 1;
      const run = { order, name, tone, state: "waiting", losses: [], scores: [], steps: order.setting.steps, blind: null, heat: new Heat("Layers by step"), finish };
      run.heat.show(this.column);
      this.list.push(run);
      $("#runs").append(this.card(run));
      this.send(run);
      this.draw();
    });
  }

  async send(run) {
    try {
      const { id } = await ask("/api/jobs", run.order);
      run.id = id;
      run.source = listen(id, (event) => this.hear(run, event));
    } catch (problem) {
      this.hear(run, problem.status === 422 ? { event: "refused", given: problem.given, expected: problem.expected, mend: problem.mend } : { event: "failed", message: problem.message });
    }
  }

  hear(run, event) {
    if (event.event === "waiting") run.place = event.place;
    if (event.event === "started") run.state = "running";
    if (event.event === "begin") Object.assign(run, { steps: event.steps, blind: event.blind_loss, state: "running" });
    if (event.event === "steps") run.losses.push(...event.losses);
    if (event.event === "score") run.scores.push([event.step, event.accuracy]);
    if (event.event === "layers") {
      run.heat.steps = run.steps;
      run.heat.add(event);
    }
    if (ENDS.includes(event.event)) {
      run.state = event.event === "done" && event.outcome === "diverged" ? "diverged" : event.event;
      run.result = event;
      if (event.event === "done" && event.accuracy !== null) run.scores.push([event.steps, event.accuracy]);
      run.finish(event);
      this.ended(run);
    }
    this.later();
  }

  later() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  drop() {
    const place = this.list.findIndex((run) => ENDS.includes(run.state) || run.state === "diverged");
    if (place >= 0) this.remove(this.list[place]);
    return place >= 0;
  }

  remove(run) {
    run.source?.close();
    run.card.remove();
    this.list = this.list.filter((one) => one !== run);
    this.draw();
  }

  card(run) {
    const stop = h("button", { type: "button", class: "small", onclick: () => this.press(run) }, "Stop");
    run.card = h("li", { class: `run tone-${run.tone}` },
      h("div", { class: "run-head" }, h("i", { class: "chip-dot", "aria-hidden": "true" }), h("strong", {}, run.name), h("span", { class: "state", role: "status" }), stop),
      h("progress", { max: 1, value: 0, "aria-label": `Progress of ${run.name}` }), h("p", { class: "run-words" }),
      h("div", { class: "heat-host" }, h("span", { class: "heat-axis", "aria-hidden": "true" }, h("span", {}, "layer 1"), h("span", {}, `layer ${run.order.setting.depth}`)), run.heat.canvas),
      h("p", { class: "heat-foot" }, ...this.foot()));
    run.button = stop;
    return run.card;
  }

  foot() {
    return [h("span", {}, `${NAMES[this.column]}, by layer and step`), ramp(this.column)];
  }

  press(run) {
    if (run.state === "waiting" || run.state === "running") {
      if (run.id) ask(`/api/jobs/${run.id}`, undefined, "DELETE").catch(() => {});
    } else if (run.state === "failed") {
      this.remove(run);
      this.start(run.order, run.name).then(run.finish);
    } else this.remove(run);
  }

  draw() {
    const runs = this.list, shown = runs.filter((run) => run.losses.length);
    const most = Math.max(20, ...runs.map((run) => run.steps)), x = { domain: [0, most], ticks: ticks(0, most, 5), label: "step" };
    const blind = runs.find((run) => run.blind !== null)?.blind ?? null;
    const losses = shown.flatMap((run) => run.losses.map(([, loss]) => loss)), sorted = [...losses].sort((a, b) => a - b);
    const top = Math.max((blind ?? 2) * 1.25, Math.min(sorted[Math.floor(sorted.length * 0.98)] ?? 0, (blind ?? 2) * 3));
    const edge = (loss) => Math.min(loss, top);
    const marks = shown.map((run) => ({ key: `loss-${run.tone}`, kind: "line", className: `curve tone-${run.tone}`, points: thinned(run.losses).map(([step, loss]) => [step, edge(loss)]) }));
    for (const run of shown.filter((one) => one.state === "diverged")) {
      const [step, loss] = run.losses[run.losses.length - 1];
      marks.push({ key: `cross-${run.tone}`, kind: "cross", className: `cross tone-${run.tone}`, points: [[step, edge(loss)]] });
    }
    if (blind !== null) marks.push({ key: "blind", kind: "line", className: "reference", points: [[0, blind], [most, blind]] }, { key: "blind-word", kind: "label", className: "reference-label", points: [[most, blind + top * 0.03]], label: "the best answer without looking" });
    this.loss.draw({ x, y: { domain: [top, 0], ticks: ticks(0, top, 4), label: "" }, marks });
    const scores = runs.filter((run) => run.scores.some(([, share]) => share !== null)).flatMap((run) => [
      { key: `score-${run.tone}`, kind: "line", className: `curve tone-${run.tone}`, points: run.scores },
      { key: `dots-${run.tone}`, kind: "dots", className: `curve-dots tone-${run.tone}`, points: run.scores }]);
    this.accuracy.draw({ x, y: { domain: [1, 0], ticks: [0, 0.25, 0.5, 0.75, 1].map((at) => ({ at, text: percent(at) })), label: "" }, marks: scores });
    $(".curves").classList.toggle("empty", !shown.length);
    $("#runs").classList.toggle("empty", !runs.length);
    for (const run of runs) this.tell(run);
  }

  tell(run) {
    const { card, state, result } = run, step = run.losses.length ? run.losses[run.losses.length - 1][0] : 0;
    card.dataset.state = state;
    card.dataset.outcome = result?.outcome ?? "";
    setText($(".state", card), { waiting: run.place ? `in line: ${run.place}` : "asking", running: `step ${count(step)} of ${count(run.steps)}`, done: result?.outcome ?? "done", diverged: "diverged", stopped: "stopped", refused: "not possible", failed: "failed" }[state]);
    const bar = $("progress", card);
    bar.value = step / run.steps;
    bar.hidden = !["waiting", "running"].includes(state);
    setText(run.button, ["waiting", "running"].includes(state) ? "Stop" : state === "failed" ? "Try again" : "Remove");
    setText($(".run-words", card), words(run, step));
    card.classList.toggle("bare", !run.heat.readings.length);
  }
}

function words({ state, result, losses, place }, step) {
  if (state === "waiting") return place ? "It starts when those before it are done." : "";
  if (state === "diverged") return result.stopped_at ? `The loss was not finite at step ${count(result.stopped_at)}; the weights were left as they were before it.` : "It ended worse than guessing.";
  if (state === "stopped") return step ? `Stopped at step ${count(step)}. What was learnt up to there is not kept.` : "Stopped before its first step.";
  if (state === "refused") return `${result.given}. ${result.expected}. ${result.mend}.`;
  if (state === "failed") return result.message;
  if (state === "done") return `${percent(result.accuracy)} right on what it had not seen, after ${count(result.steps)} steps and ${result.seconds.toFixed(1)} s. Loss ${result.loss.toFixed(3)}; without looking, ${result.blind_loss.toFixed(3)}.`;
  return losses.length ? `Loss ${losses[losses.length - 1][1].toFixed(3)}` : "";
}

function thinned(points) {
  const every = Math.ceil(points.length / 400);
  return points.filter((_, place) => place % every === 0 || place === points.length - 1);
}
