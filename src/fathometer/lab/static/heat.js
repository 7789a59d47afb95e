// Layer by step: a canvas that grows to the right as a network trains.
import { h, magnitude } from "./dom.js";

// From deep water to light, even in lightness for colour-blind eyes.
const RAMP = [[13, 22, 48], [30, 60, 110], [44, 113, 142], [86, 164, 146], [192, 204, 133], [253, 236, 180]];
const LOST = "#d9480f"; // a number that is not finite
export const DOMAINS = { gradient: [-8, 3], signal: [-6, 6], update: [-6, 0] };
export const NAMES = { gradient: "gradient, over that of the last layer", signal: "signal", update: "step over weight" };

export function colour(share) {
  const place = Math.min(0.9999, Math.max(0, share)) * (RAMP.length - 1), below = Math.floor(place), part = place - below;
  return `rgb(${RAMP[below].map((low, channel) => Math.round(low + part * (RAMP[below + 1][channel] - low))).join(" ")})`;
}

export class Heat {
  constructor(title) {
    this.canvas = h("canvas", { class: "heat", role: "img", "aria-label": title, width: 10, height: 10 });
    this.readings = [];
    this.steps = 1;
    this.column = "gradient";
  }

  add(reading) {
    this.readings.push(reading);
    this.draw();
  }

  show(column) {
    this.column = column;
    this.draw();
  }

  draw() {
    if (!this.readings.length || this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.paint();
    });
  }

  paint() {
    const rows = this.readings[0].at.length, { canvas } = this, wide = 240;
    if (canvas.width !== wide || canvas.height !== rows) Object.assign(canvas, { width: wide, height: rows });
    const pen = canvas.getContext("2d"), [low, high] = DOMAINS[this.column];
    pen.clearRect(0, 0, wide, rows);
    this.readings.forEach(({ step, columns }, place) => {
      const next = this.readings[place + 1]?.step ?? Math.min(this.steps + 1, step + (step - (this.readings[place - 1]?.step ?? 0)));
      const from = Math.floor(((step - 1) / this.steps) * wide), to = Math.max(from + 1, Math.ceil(((next - 1) / this.steps) * wide));
      (columns[this.column] ?? []).forEach((value, row) => {
        pen.fillStyle = value === null || value > 100 ? LOST : colour((value - low) / (high - low));
        pen.fillRect(from, row, to - from, 1);
      });
    });
    const last = this.readings[this.readings.length - 1];
    canvas.setAttribute("aria-label", `${NAMES[this.column]} by layer and step; at step ${last.step} the first layer has ${magnitude(last.columns[this.column]?.[0])}`);
  }
}

export function ramp(column) {
  const [low, high] = DOMAINS[column];
  const bar = h("canvas", { class: "ramp", width: 64, height: 1, "aria-hidden": "true" }), pen = bar.getContext("2d");
  for (let x = 0; x < 64; x++) {
    pen.fillStyle = colour(x / 63);
    pen.fillRect(x, 0, 1, 1);
  }
  return h("span", { class: "scale" }, magnitude(low), bar, magnitude(high));
}
