// A light SVG chart: axes are drawn when they change, marks by one attribute each.
import { s } from "./dom.js";

const NARROW = 400, LEAST_TICK = 40; // pixels: for a long label, for one tick

export class Plot {
  constructor(host, { title, left = 46, right = 14, top = 14, bottom = 34 }) {
    this.host = host;
    this.margin = { left, right, top, bottom };
    this.svg = s("svg", { role: "img", "aria-label": title });
    this.axes = s("g", { class: "axes", "aria-hidden": "true" });
    this.marks = s("g", { class: "marks", "aria-hidden": "true" });
    this.over = s("g", { class: "over", "aria-hidden": "true" });
    this.svg.append(this.axes, this.marks, this.over);
    host.append(this.svg);
    this.nodes = new Map();
    this.size = { width: 0, height: 0 };
    new ResizeObserver(() => this.resize()).observe(host);
  }

  resize() {
    const { width, height } = this.host.getBoundingClientRect();
    if (!width || (width === this.size.width && height === this.size.height)) return;
    this.size = { width, height };
    this.svg.setAttribute("width", width);
    this.svg.setAttribute("height", height);
    this.drawn = "";
    if (this.last) this.draw(this.last);
  }

  // `x` and `y`: { domain: [low, high], ticks: [{ at, text }], label }. `marks`: { key, kind, points, className, label }.
  draw(spec) {
    this.last = spec;
    if (!this.size.width) return this.resize();
    const { left, right, top, bottom } = this.margin, { width, height } = this.size;
    this.box = { x0: left, x1: Math.max(left + 10, width - right), y0: top, y1: Math.max(top + 10, height - bottom) };
    const key = JSON.stringify([spec.x, spec.y, this.size]);
    if (key !== this.drawn) {
      this.drawn = key;
      this.drawAxes(spec);
    }
    const seen = new Set();
    for (const mark of spec.marks) {
      seen.add(mark.key);
      this.drawMark(mark);
    }
    for (const [name, node] of this.nodes) {
      if (!seen.has(name)) {
        node.remove();
        this.nodes.delete(name);
      }
    }
  }

  px(value) {
    const [low, high] = this.last.x.domain, { x0, x1 } = this.box;
    return x0 + ((value - low) / (high - low || 1)) * (x1 - x0);
  }

  py(value) {
    const [low, high] = this.last.y.domain, { y0, y1 } = this.box;
    return y0 + ((value - low) / (high - low || 1)) * (y1 - y0);
  }

  drawAxes({ x, y }) {
    const { x0, x1, y0, y1 } = this.box, parts = [];
    const sparse = Math.ceil((x.ticks.length * LEAST_TICK) / (x1 - x0)), [long, short] = [x.label ?? ""].flat();
    x.ticks.forEach(({ at, text }, place) => {
      const where = this.px(at);
      parts.push(s("line", { x1: where, x2: where, y1: y0, y2: y1, class: "grid" }));
      if (place % sparse === 0) parts.push(s("text", { x: where, y: y1 + 15, class: "tick middle" }, text));
    });
    for (const { at, text } of y.ticks) {
      const where = this.py(at);
      parts.push(s("line", { x1: x0, x2: x1, y1: where, y2: where, class: "grid" }));
      parts.push(s("text", { x: x0 - 8, y: where + 3.5, class: "tick end" }, text));
    }
    if (long) parts.push(s("text", { x: (x0 + x1) / 2, y: y1 + 30, class: "axis middle" }, short && x1 - x0 < NARROW ? short : long));
    if (y.label) parts.push(s("text", { x: x0 - 8, y: y0 - 2, class: "axis end" }, y.label));
    this.axes.replaceChildren(...parts);
  }

  drawMark({ key, kind, points, className, label }) {
    let node = this.nodes.get(key);
    if (!node) {
      node = kind === "label" ? s("text", { class: className }) : s("path", { class: className });
      this.nodes.set(key, node);
      this.marks.append(node);
    }
    if (node.getAttribute("class") !== className) node.setAttribute("class", className);
    if (kind === "label") {
      node.textContent = label;
      const x = Math.min(this.px(points[0][0]), this.box.x1 - 4), y = Math.min(Math.max(this.py(points[0][1]), this.box.y0 + 9), this.box.y1 - 4);
      node.setAttribute("x", x);
      node.setAttribute("y", y);
      return;
    }
    node.setAttribute("d", kind === "band" ? this.band(points) : kind === "dots" ? this.dots(points) : kind === "cross" ? this.crosses(points) : this.line(points));
  }

  line(points) {
    let path = "", open = false;
    for (const [x, y] of points) {
      if (x === null || y === null || x === undefined || y === undefined) {
        open = false;
        continue;
      }
      path += `${open ? "L" : "M"}${this.px(x).toFixed(1)} ${this.py(y).toFixed(1)}`;
      open = true;
    }
    return path;
  }

  // `points` holds two edges, each a list of [x, y].
  band([one, other]) {
    const whole = [...one, ...[...other].reverse()].filter(([x, y]) => x !== null && y !== null);
    return whole.length > 2 ? this.line(whole) + "Z" : "";
  }

  dots(points) {
    return points.filter(([x, y]) => x !== null && y !== null).map(([x, y]) => `M${this.px(x).toFixed(1)} ${this.py(y).toFixed(1)}h0`).join("");
  }

  crosses(points) {
    return points.map(([x, y]) => { const a = this.px(x), b = this.py(y); return `M${a - 5} ${b - 5}l10 10m0 -10l-10 10`; }).join("");
  }
}

// Ticks of a linear scale at round numbers.
export function ticks(low, high, most = 5, format = (value) => value.toLocaleString("en")) {
  const rough = (high - low) / most || 1, unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * unit).find((size) => size >= rough * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-6; at += step) found.push({ at, text: format(Number(at.toPrecision(10))) });
  return found;
}
