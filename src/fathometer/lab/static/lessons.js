// The lessons: prose with live numbers, and a figure that can be turned.
import { ask } from "./api.js";
import { $, h, power, setText } from "./dom.js";
import { Plot, ticks } from "./plot.js";

let made = false;

export function showLessons(lessons, name, open) {
  if (!made) make(lessons, open);
  made = true;
  if (name) document.getElementById(`lesson-${name}`)?.scrollIntoView();
}

function make(lessons, open) {
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); entry.target.wake(); }
  }, { rootMargin: "600px" });
  lessons.forEach((lesson, place) => {
    const article = new Article(lesson, place + 1, open);
    $("#contents").append(h("a", { href: `#lessons/${lesson.name}` }, h("span", { "aria-hidden": "true" }, String(place + 1)), h("span", { class: "contents-title" }, lesson.title)));
    $("#articles").append(article.node);
    article.node.wake = () => article.ask(lesson.slider.first);
    seen.observe(article.node);
  });
}

class Article {
  constructor(lesson, number, open) {
    this.lesson = lesson;
    this.gaps = [];
    this.plots = [];
    const { slider } = lesson, id = `turn-${lesson.name}`;
    this.output = h("output", { for: id });
    this.input = h("input", { id, type: "range", min: 0, max: 100, step: 1, oninput: () => this.ask(this.value()) });
    this.input.max = slider.log ? 120 : Math.round((slider.most - slider.least) / slider.step);
    this.input.value = slider.log ? Math.round((Math.log(slider.first / slider.least) / Math.log(slider.most / slider.least)) * 120) : Math.round((slider.first - slider.least) / slider.step);
    this.figures = h("div", { class: "figures" });
    const opens = lesson.opens && h("button", { type: "button", class: "small", onclick: () => open(lesson.opens.setting) }, `${lesson.opens.label} →`);
    this.node = h("article", { class: "lesson", id: `lesson-${lesson.name}` },
      h("header", {}, h("span", { class: "number", "aria-hidden": "true" }, String(number)), h("div", {}, this.filled("h2", lesson.title), this.filled("p", lesson.claim, "claim"))),
      h("div", { class: "lesson-body" }, h("div", { class: "prose" }, ...lesson.prose.map((text) => this.filled("p", text))),
        h("div", { class: "turning" }, h("div", { class: "pair" }, h("label", { for: id }, slider.label), this.output), this.input, this.figures)),
      h("div", { class: "try" }, h("strong", {}, "Try"), this.filled("p", lesson.task), opens),
      h("details", { class: "papers" }, h("summary", {}, "Papers"), h("ul", {}, ...lesson.papers.map((paper) => h("li", {}, paper)))));
  }

  // An element whose gaps in braces are filled with numbers when they come.
  filled(name, text, className) {
    const parts = text.split(/\{(\w+)\}/).map((part, place) => {
      if (place % 2 === 0) return part;
      const gap = h("span", { class: "computed" }, "…");
      this.gaps.push([part, gap]);
      return gap;
    });
    return h(name, { class: className }, ...parts);
  }

  value() {
    const { slider } = this.lesson, place = this.input.valueAsNumber;
    return slider.log ? Math.round(slider.least * (slider.most / slider.least) ** (place / 120)) : Number((slider.least + place * slider.step).toFixed(6));
  }

  async ask(value) {
    setText(this.output, value.toLocaleString("en"));
    this.wanted = value;
    if (this.busy) return;
    this.busy = true;
    while (this.wanted !== null) {
      const next = this.wanted;
      this.wanted = null;
      try {
        this.show(await ask(`/api/lessons/${this.lesson.name}`, { value: next }));
      } catch (problem) {
        this.figures.replaceChildren(h("p", { class: "ending failed" }, problem.message));
        this.plots = [];
      }
    }
    this.busy = false;
  }

  show({ numbers, pictures }) {
    for (const [name, gap] of this.gaps) setText(gap, numbers[name] ?? "?");
    if (this.plots.length !== pictures.length) {
      this.plots = pictures.map((picture) => {
        const host = h("div", { class: "plot" }), legend = h("div", { class: "legend" }), see = h("p", { class: "quiet" });
        this.figures.append(h("figure", {}, h("figcaption", {}, picture.title), host, legend, see));
        return { plot: new Plot(host, { title: picture.title, left: 46, top: 12 }), legend, see };
      });
    }
    pictures.forEach((picture, place) => drawPicture(this.plots[place], picture));
    this.node.dataset.value = this.input.value;
  }
}

function drawPicture({ plot, legend, see }, picture) {
  setText(see, picture.see);
  const points = picture.lines.flatMap((line) => line.points).filter(([, y]) => y !== null);
  const [left, right] = extent(points.map(([x]) => x)), [low, high] = picture.y ?? room(extent(points.map(([, y]) => y)), picture.log_y);
  let tone = 0;
  const styled = picture.lines.map((line) => ({ ...line, className: line.quiet ? "quiet-line" : `tone-${++tone}` }));
  const marks = styled.map((line) => ({ key: line.name, kind: "line", className: line.quiet ? "curve quiet-line" : `curve ${line.className}`, points: line.points }));
  marks.forEach((mark, place) => { mark.key = String(place); });
  if (picture.mark !== null) marks.push({ key: "mark", kind: "line", className: "reference", points: [[picture.mark, low], [picture.mark, high]] });
  const whole = picture.log_y && high - low < 3 ? ticks(low, high, 4, (at) => (10 ** at).toLocaleString("en", { maximumSignificantDigits: 2 })) : ticks(low, high, 5, picture.log_y ? power : undefined);
  plot.draw({ x: { domain: [left, right], ticks: ticks(left, right, 6), label: picture.x }, y: { domain: [high, low], ticks: picture.log_y ? whole.filter(({ at }) => high - low < 3 || Number.isInteger(at)) : whole, label: "" }, marks });
  legend.replaceChildren(...styled.map((line) => h("span", { class: "entry" }, h("i", { class: `key line ${line.className}`, "aria-hidden": "true" }), line.name)));
}

const extent = (values) => [Math.min(...values), Math.max(...values)];
function room([low, high], isLog) {
  if (isLog) return [Math.floor(low * 2) / 2, Math.ceil(high * 2) / 2 || 0.5];
  const spare = (high - low) * 0.06 || 0.5;
  return [low >= 0 && low - spare < 0 ? 0 : low - spare, high + spare];
}
