// The rail: every control but depth, each a native element that a keyboard can turn.
import { $, h, setText, count, rate } from "./dom.js";

const around = (low, high, steps) => Array.from({ length: steps + 1 }, (_, place) => low * (high / low) ** (place / steps));
const tidy = (values, digits = 2) => [...new Set(values.map((value) => Number(value.toPrecision(digits))))];
const ladder = (low, high) => {
  const found = [];
  for (let unit = low; unit <= high * 1.0001; unit *= 10) found.push(...[1, 2, 5].map((times) => Number((times * unit).toPrecision(2))));
  return found.filter((value) => value <= high * 1.0001);
};
const DEEPEST = 1000, PLACES = 1000; // of the depth slider, which is logarithmic
const placeOf = (depth) => Math.round((Math.log(depth) / Math.log(DEEPEST)) * PLACES);
const depthAt = (place) => Math.round(DEEPEST ** (place / PLACES));

const VALUES = {
  width: [8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512],
  strength: tidy(around(0.01, 4, 60)),
  gain: tidy([...around(0.25, 4, 80), 1, 1.5, 2, 2.5]).sort((a, b) => a - b),
  rate: ladder(1e-5, 1),
  clip: [0, ...ladder(0.01, 10)],
  steps: [20, 50, 100, 150, 200, 300, 400, 600, 800, 1000, 1500, 2000],
};
const LABELS = {
  family: "Family", task: "Task", width: "Width", activation: "Activation", init: "Start (initialisation)", gain: "Gain of the start",
  residual: "Residual connection", strength: "Strength α", norm: "Norm", place: "Place of the norm",
  optimizer: "Optimizer", rate: "Learning rate", clip: "Clip the gradient at", steps: "Steps",
};
const GROUPS = [
  ["Network", ["family", "width", "activation", "init", "gain"]],
  ["Stream", ["residual", "strength", "norm", "place"]],
  ["Training", ["task", "optimizer", "rate", "clip", "steps"]],
];
const WORDS = {
  width: (value) => `${value} units`, strength: (value) => String(value), gain: (value) => `× ${value}`, rate,
  clip: (value) => (value === 0 ? "off" : String(value)), steps: (value) => count(value),
};

export class Controls {
  constructor(host, table, setting, changed) {
    this.table = table;
    this.setting = { ...setting };
    this.changed = changed;
    this.fields = new Map();
    for (const [title, names] of GROUPS) {
      host.append(h("fieldset", {}, h("legend", {}, title), ...names.map((name) => this.field(name))));
    }
    this.show();
  }

  field(name) {
    const id = `control-${name}`, why = h("span", { class: "why", id: `${id}-why` });
    const label = h("label", { for: id }, LABELS[name]);
    if (name in this.table.choices) {
      const select = h("select", { id, "aria-describedby": `${id}-why`, onchange: () => this.set(name, select.value) },
        ...Object.entries(this.table.choices[name]).map(([value, text]) => h("option", { value }, text)));
      this.fields.set(name, { input: select, why });
      return h("div", { class: "field" }, label, select, why);
    }
    const values = VALUES[name], output = h("output", { for: id });
    const input = h("input", { id, type: "range", min: 0, max: values.length - 1, step: 1, "aria-describedby": `${id}-why`, oninput: () => this.set(name, values[input.valueAsNumber]) });
    this.fields.set(name, { input, output, why });
    return h("div", { class: "field" }, h("div", { class: "pair" }, label, output), input, why);
  }

  // Change one control, and what can no longer stay beside it.
  set(name, value) {
    const next = { ...this.setting, [name]: value };
    const allowed = this.table.allowed[next.family];
    for (const [other, options] of Object.entries(allowed)) if (!options.includes(next[other])) next[other] = options[0];
    if (name === "residual" && value !== "plain" && next.init === "fixup") next.init = "he";
    if (name === "init" && value === "fixup") Object.assign(next, { residual: "plain", norm: "none" });
    if (["mup", "depth-mup", "completep"].includes(next.init) && ["sgd", "muon"].includes(next.optimizer)) {
      if (name === "optimizer") next.init = next.family === "transformer" ? "gpt2" : "he";
      else next.optimizer = "adam";
    }
    this.setting = next;
    this.show();
    this.changed(name);
  }

  put(setting) {
    this.setting = { ...setting };
    this.show();
  }

  show() {
    const allowed = this.table.allowed[this.setting.family];
    for (const [name, { input, output }] of this.fields) {
      const value = this.setting[name];
      if (input.localName === "select") {
        input.value = value;
        for (const option of input.options) option.disabled = name in allowed && !allowed[name].includes(option.value);
        continue;
      }
      const values = VALUES[name], nearest = values.reduce((best, one, place) => (Math.abs(one - value) < Math.abs(values[best] - value) ? place : best), 0);
      input.value = nearest;
      input.setAttribute("aria-valuetext", WORDS[name](value));
      setText(output, WORDS[name](value));
    }
  }

  // Say of each control that changes nothing here, why.
  rest(idle) {
    for (const [name, { input, why }] of this.fields) {
      const reason = idle[name] ?? (name === "task" ? this.table.questions[this.setting.task] : "");
      setText(why, reason);
      input.closest(".field").classList.toggle("idle", name in idle);
      input.disabled = name in idle;
    }
  }
}

// The depth slider: logarithmic under the pointer, one layer at a time under the arrow keys. Returns how to put it somewhere.
export function depthSlider(changed) {
  const input = $("#depth");
  let depth = 1;
  input.max = PLACES;
  input.addEventListener("input", () => changed(depthAt(input.valueAsNumber)));
  input.addEventListener("keydown", (event) => {
    const next = { ArrowRight: depth + 1, ArrowUp: depth + 1, ArrowLeft: depth - 1, ArrowDown: depth - 1, PageUp: depth * 2, PageDown: Math.round(depth / 2) }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    changed(Math.min(DEEPEST, Math.max(1, next)));
  });
  return (value) => {
    depth = value;
    input.value = placeOf(depth);
    input.setAttribute("aria-valuetext", `${depth.toLocaleString("en")} ${depth === 1 ? "layer" : "layers"}`);
    input.parentElement.style.setProperty("--share", depthShare(depth));
  };
}

export const depthShare = (depth) => placeOf(depth) / PLACES;
