// The page's own script: draws the charts, marks one depth in all of them, copies code, switches the theme.
"use strict";

const HOVER = "hover_depth"; // the depth that a chart marks: the one under its pointer, or else
const MARKED = "marked_depth"; // the one that this script sets
const charts = []; // { figure, view, rows } of every chart with depth as its x axis

const options = {
  mode: "vega-lite", renderer: "svg", actions: false, defaultStyle: false,
  ast: true, // expressions run in an interpreter, so that the page may forbid eval
  tooltip: { disableDefaultStyle: true },
};

async function draw(figure) {
  const spec = JSON.parse(figure.querySelector("script").textContent);
  const { view } = await window.vegaEmbed(figure.querySelector(".plot"), spec, options);
  await fit(view);
  addEventListener("resize", () => fit(view));
  if (!(spec.params ?? []).some((param) => param.name === HOVER)) return;
  const chart = { figure, view, rows: view.data("readout") };
  charts.push(chart);
  view.addSignalListener(HOVER, (_, depth) => mark(depth, chart));
  figure.addEventListener("keydown", (event) => step(event, chart));
  figure.addEventListener("blur", () => mark(null));
}

// A legend may wrap once the width is known: lay the chart out again, so that its title keeps its place.
async function fit(view) {
  await view.runAsync();
  await view.resize().runAsync();
}

let marked = null;
function mark(depth, source) {
  if (depth === marked) return;
  marked = depth;
  for (const chart of charts) {
    const { figure, view, rows } = chart;
    // The chart that is pointed at marks its depth by itself, and must forget it when the pointer leaves.
    view.signal(MARKED, chart === source ? null : depth).runAsync();
    const row = rows.find((one) => one.depth === depth);
    figure.querySelector(".readout").textContent = row ? row.sentence : "";
    figure.dataset.hoverDepth = depth ?? "";
  }
}

function step(event, { rows }) {
  const moves = { ArrowLeft: -1, ArrowRight: 1 };
  if (event.key === "Escape") mark(null);
  if (!(event.key in moves) || !rows.length) return;
  event.preventDefault();
  const first = rows[0].depth, last = rows[rows.length - 1].depth;
  mark(Math.min(last, Math.max(first, (marked ?? first - 1) + moves[event.key])));
}

async function copy(button) {
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch { // the clipboard may be forbidden: select the text and copy it the old way
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1600);
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function nameTheme(button) {
  button.textContent = isDark() ? "Light" : "Dark";
}

const theme = document.querySelector("#theme");
theme.hidden = false;
nameTheme(theme);
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme(theme);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => nameTheme(theme));

for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", () => copy(button));
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
Promise.all([...document.querySelectorAll("figure.chart")].map(draw)).then(() => { document.documentElement.dataset.ready = "yes"; });
