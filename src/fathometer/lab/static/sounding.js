// The sounding: one axis of depth, downwards, and everything hangs from it.
import { $, h, magnitude, power, s, setText } from "./dom.js";
import { colour } from "./heat.js";
import { Plot, ticks } from "./plot.js";

const LOW = [-3, -6, -12, -24, -36, -60, -120, -150], HIGH = [3, 6, 12, 24, 36, 60, 120, 150];
const SERIES = { signal: "signal, going down", gradient: "gradient, coming back" };
const snap = (ladder, value, sign) => ladder.find((edge) => sign * edge >= sign * value) ?? ladder[ladder.length - 1];
const zip = (values, at) => values.map((value, place) => [value, at[place]]);

export class Sounding {
  constructor() {
    const strips = $("#strips");
    this.echo = h("canvas", { class: "echo", width: 1, height: 240, "aria-hidden": "true" });
    const hosts = ["sizes", "cosines"].map((name) => h("div", { class: `plot ${name}` }));
    strips.append(h("div", { class: "echo-host" }, this.echo, h("span", { class: "echo-word", "aria-hidden": "true" }, "echo")), ...hosts);
    this.sizes = new Plot(hosts[0], { title: "Size of signal and gradient by depth", left: 38, top: 22, bottom: 36 });
    this.cosines = new Plot(hosts[1], { title: "Cosine of two different inputs by depth", left: 12, top: 22, bottom: 36 });
    this.extra = [];
    this.marked = null;
    for (const plot of [this.sizes, this.cosines]) {
      plot.host.addEventListener("pointermove", (event) => this.point(event, plot));
      plot.host.addEventListener("pointerleave", () => this.mark(null));
    }
    strips.addEventListener("keydown", (event) => this.step(event));
    strips.addEventListener("blur", () => this.mark(null));
  }

  // Draw what theory says; `ghost` is the answer to the setting before.
  draw(theory, ghost) {
    Object.assign(this, { theory, ghost });
    this.paint();
  }

  // Lay measured profiles over theory: [{ name, profile, tone }].
  measured(extra) {
    this.extra = extra;
    if (this.theory) this.paint();
  }

  paint() {
    const { theory, extra } = this, deepest = theory.depth;
    const all = [theory, ...extra.map((one) => one.profile)] // the ghost may lie beyond: it is drawn at the edge
     
      .flatMap((one) => Object.keys(SERIES).flatMap((name) => one.values[name] ?? [])).filter((value) => value !== null);
    const low = snap(LOW, Math.min(-0.5, ...all), -1), high = snap(HIGH, Math.max(0.5, ...all), 1);
    const y = { domain: deepest > 1 ? [1, deepest] : [0, 2], ticks: depthTicks(deepest), label: "" };
    const x = { domain: [low, high], ticks: ticks(low, high, 6, power), label: ["size, over that of the input (signal) and of the last layer (gradient)", "size"] };
    this.sizes.draw({ x, y, marks: [...this.sizeMarks(deepest, (value) => (value === null ? null : Math.min(high, Math.max(low, value))))] });
    const cosineTicks = [0, 0.5, 1].map((at) => ({ at, text: String(at) }));
    this.cosines.draw({ x: { domain: [-0.05, 1.05], ticks: cosineTicks, label: ["cosine of two inputs", "cosine"] }, y: { ...y, ticks: y.ticks.map(({ at }) => ({ at, text: "" })) }, marks: [...this.cosineMarks(deepest)] });
    this.paintEcho();
    this.paintLegend();
    if (this.marked) this.mark(Math.min(this.marked, deepest));
  }

  *sizeMarks(deepest, within) {
    const { theory, ghost, extra } = this;
    if (ghost) for (const name of Object.keys(SERIES)) if (ghost.values[name]) yield { key: `ghost-${name}`, kind: "line", className: "ghost", points: stretched(ghost, name, deepest).map(([value, at]) => [within(value), at]) };
    for (const name of Object.keys(SERIES)) {
      if (!theory.values[name]) continue;
      const band = theory.bands[name];
      if (band) yield { key: `band-${name}`, kind: "band", className: `band ${name}`, points: band.map((edge) => zip(edge, theory.at)) };
      const points = zip(theory.values[name], theory.at);
      yield deepest > 1 ? { key: name, kind: "line", className: `line ${name}`, points } : { key: `${name}-one`, kind: "dots", className: `dots ${name}`, points };
    }
    for (const { tone, profile } of extra) {
      for (const name of Object.keys(SERIES)) if (profile.values[name]) yield { key: `dots-${tone}-${name}`, kind: "dots", className: `dots ${name} ${tone}`, points: stretched(profile, name, deepest) };
    }
  }

  *cosineMarks(deepest) {
    const { theory, ghost, extra } = this;
    if (ghost?.values.correlation) yield { key: "ghost", kind: "line", className: "ghost", points: stretched(ghost, "correlation", deepest) };
    if (theory.values.correlation) yield { key: "cosine", kind: deepest > 1 ? "line" : "dots", className: `${deepest > 1 ? "line" : "dots"} cosine`, points: zip(theory.values.correlation, theory.at) };
    for (const { tone, profile } of extra) if (profile.values.correlation) yield { key: `dots-${tone}`, kind: "dots", className: `dots cosine ${tone}`, points: stretched(profile, "correlation", deepest) };
  }

  paintEcho() {
    const { theory, echo } = this, pen = echo.getContext("2d"), values = theory.values.gradient ?? [];
    if (echo.height !== 240) echo.height = 240;
    for (let y = 0; y < 240; y++) {
      const place = Math.min(values.length - 1, Math.floor((y / 240) * values.length)), value = values[place];
      pen.fillStyle = colour(value === null || value === undefined ? 0 : (value + 8) / 9);
      pen.fillRect(0, y, 1, 1);
    }
  }

  paintLegend() {
    const { extra, ghost } = this, key = JSON.stringify([extra.map((one) => [one.name, one.tone]), Boolean(ghost)]);
    if (key === this.legend) return;
    this.legend = key;
    const entry = (className, text) => h("span", { class: "entry" }, h("i", { class: `key ${className}`, "aria-hidden": "true" }), text);
    $("#legend").replaceChildren(
      ...Object.entries(SERIES).map(([name, text]) => entry(`line ${name}`, text)), entry("line cosine", "cosine"), entry("band", "where 95% of networks lie"),
      ...(ghost ? [entry("ghost", "before the last change")] : []), ...extra.map((one) => entry(`dots ${one.tone}`, one.name)));
  }

  point(event, plot) {
    if (!this.theory || !plot.box) return;
    const { y0, y1 } = plot.box, at = event.clientY - plot.svg.getBoundingClientRect().top;
    const depth = 1 + ((at - y0) / (y1 - y0)) * (this.theory.depth - 1);
    this.mark(Math.round(Math.min(this.theory.depth, Math.max(1, depth))));
  }

  step(event) {
    const moves = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
    if (event.key === "Escape") this.mark(null);
    if (!(event.key in moves) || !this.theory) return;
    event.preventDefault();
    this.mark(Math.min(this.theory.depth, Math.max(1, (this.marked ?? 0) + moves[event.key])));
  }

  // Mark one layer in every strip, and say its numbers.
  mark(depth) {
    this.marked = depth;
    for (const plot of [this.sizes, this.cosines]) plot.over.replaceChildren();
    if (depth === null) return setText($("#readout"), "");
    const { theory } = this, place = nearest(theory.at, depth);
    for (const plot of [this.sizes, this.cosines]) {
      const where = plot.py(theory.depth > 1 ? theory.at[place] : 1);
      plot.over.append(s("line", { x1: plot.box.x0, x2: plot.box.x1, y1: where, y2: where, class: "rule" }));
    }
    const parts = Object.keys(SERIES).filter((name) => theory.values[name]).map((name) => `${name} ${magnitude(theory.values[name][place])}`);
    const cosine = theory.values.correlation?.[place];
    if (cosine !== undefined && cosine !== null) parts.push(`cosine ${cosine.toFixed(3)}`);
    for (const { name, profile } of this.extra) {
      const value = profile.values.gradient?.[nearest(profile.at, depth)];
      if (value !== undefined) parts.push(`${name}: gradient ${magnitude(value)}`);
    }
    setText($("#readout"), `Layer ${theory.at[place]} of ${theory.depth}: ${parts.join(", ")}.`);
  }
}

const nearest = (at, depth) => at.reduce((best, one, place) => (Math.abs(one - depth) < Math.abs(at[best] - depth) ? place : best), 0);

// A profile of another depth is stretched over this one, from the first layer to the last.
function stretched(profile, name, deepest) {
  const last = profile.depth, onto = (at) => (last > 1 ? 1 + ((at - 1) / (last - 1)) * (Math.max(deepest, 1) - 1) : 1);
  return profile.values[name].map((value, place) => [value, onto(profile.at[place])]);
}

function depthTicks(deepest) {
  if (deepest === 1) return [{ at: 1, text: "1" }];
  const inner = ticks(1, deepest, 6).filter(({ at }) => at > 1 + deepest * 0.05 && at < deepest * 0.95 && Number.isInteger(at));
  return [{ at: 1, text: "1" }, ...inner, { at: deepest, text: deepest.toLocaleString("en") }];
}
