// The page: what is turned, what theory answers, and what is done about it.
import { $, h, setText, magnitude, percent, count } from "./dom.js";
import { ask, onConnection } from "./api.js";
import { Controls, depthShare, depthSlider } from "./controls.js";
import { showLessons } from "./lessons.js";
import { drawFullSize, drawLook, drawMend, drawPreflight, work } from "./results.js";
import { nameOf, Runs } from "./runs.js";
import { Sounding } from "./sounding.js";

const GESTURE = 700; // milliseconds of rest after which a change begins a new gesture: the ghost is what stood then
const redraws = []; // milliseconds from the turn of a control to the redrawn figure
window.fathometer = { redraws };

const beginning = await ask("/api/beginning");
const sounding = new Sounding();
const noteKey = (setting, remedy = "") => JSON.stringify(Object.entries(setting).filter(([control]) => !["steps", "seed"].includes(control)).sort()) + remedy;
const notes = new Map(beginning.claims.map(({ claim, setting }) => [noteKey(setting), { name: claim, setting }]));
let shown = null, ghost = null, lastChange = -Infinity, wanted = null, busy = false;

const controls = new Controls($("#rail"), beginning.controls, beginning.beginnings[beginning.failing].setting, () => turn());
const putDepth = depthSlider((depth) => {
  if (depth === controls.setting.depth) return;
  controls.setting = { ...controls.setting, depth };
  turn();
});
const runs = new Runs((run) => note(run.order.setting, { right: run.result.accuracy, outcome: run.state === "done" ? run.result.outcome : run.state }, run.order.remedy ? run.name : undefined));

// Something was turned: ask theory, and only ever for the newest setting.
function turn(now = performance.now()) {
  if (now - lastChange > GESTURE) ghost = shown;
  lastChange = now;
  if (sounding.extra.length) sounding.extra = [];
  wanted = { setting: { ...controls.setting }, now };
  sayDepth(controls.setting.depth);
  if (!busy) answer();
}

async function answer() {
  busy = true;
  while (wanted) {
    const { setting, now } = wanted;
    wanted = null;
    try {
      const theory = await ask("/api/theory", setting);
      shown = theory;
      sounding.draw(theory, ghost);
      if (theory.setting.depth !== controls.setting.depth && !wanted) { controls.setting.depth = theory.setting.depth; sayDepth(theory.setting.depth); }
      setText($("#foretold"), theory.words);
      controls.rest(theory.idle);
      const { parameters } = theory.facts;
      setText($("#depth-word"), `${setting.depth === 1 ? "layer" : "layers"}, ${count(parameters)} parameters`);
      requestAnimationFrame(() => { redraws.push(performance.now() - now); if (redraws.length > 500) redraws.shift(); });
      document.documentElement.dataset.ready = "yes";
    } catch (problem) {
      setText($("#foretold"), problem.message);
    }
  }
  busy = false;
}

function sayDepth(depth) {
  setText($("#depth-number"), depth.toLocaleString("en"));
  putDepth(depth);
  for (const button of $("#beginnings").children) button.setAttribute("aria-pressed", String(isBeginning(button.dataset.name)));
}

const isBeginning = (name) => Object.entries(beginning.beginnings[name].setting).every(([key, value]) => controls.setting[key] === value);

function begin(name) {
  controls.put(beginning.beginnings[name].setting);
  lastChange = -Infinity;
  turn();
}

const current = () => ({ ...controls.setting });
const measured = (name, profile, tone) => ({ name, profile, tone });

async function preflight() {
  const setting = current(), end = await work({ kind: "preflight", setting }, nameOf(setting), drawPreflight);
  if (end.event === "done") {
    if (same(setting)) sounding.measured([measured("measured", end.check.profile, "was")]);
    note(setting, { verdict: end.check.verdict, gradient: end.check.profile.values.gradient?.[0] });
  }
  return end;
}

async function mend(setting = current()) {
  const end = await work({ kind: "mend", setting }, nameOf(setting), (card, result) => drawMend(card, result, (remedy) => apply(setting, remedy, result)));
  if (end.event === "done" && same(setting)) showRemedy(end, end.proved === null ? null : end.tried[end.proved]);
  return end;
}

function showRemedy(result, remedy) {
  const extra = [measured("measured as it was", result.check.profile, "was")];
  if (remedy?.profile) extra.push(measured(`with: ${remedy.title}`, remedy.profile, "mended"));
  sounding.measured(extra);
}

function apply(setting, remedy, result) {
  if (same(setting)) showRemedy(result, remedy);
  return runs.start({ kind: "train", setting, remedy: { place: remedy.place, name: remedy.name } }, `${nameOf(setting)} + ${remedy.title}`);
}

const train = (setting = current()) => runs.start({ kind: "train", setting }, nameOf(setting));
const same = (setting) => JSON.stringify(setting) === JSON.stringify(controls.setting);

async function look() {
  const setting = current();
  return work({ kind: "look", setting, trained: true }, nameOf(setting), drawLook);
}

async function fullSize() {
  const target = $("#full-target").value, residual = $("#full-norm").value;
  return work({ kind: "full-size", setting: current(), target, residual }, `${target}, ${residual}`, drawFullSize);
}

// The story in two clicks: fifty layers fail; they are mended, and learn.
async function story() {
  const act = $("#act"), words = (text) => setText($("#story-words"), text), setting = beginning.beginnings[beginning.failing].setting;
  act.disabled = true;
  if (act.dataset.next !== "mend") {
    begin(beginning.failing);
    words("Measuring every layer, then training …");
    const [check, end] = await Promise.all([preflight(), train(setting)]);
    if (check.event === "done" && end.event === "done") {
      words(`Preflight said: ${check.check.verdict}. Training agreed: ${percent(end.accuracy)} right, which is guessing.`);
      Object.assign(act.dataset, { next: "mend", before: percent(end.accuracy) });
    } else words("That did not end well: see below, and try again.");
  } else {
    words("Trying remedies, from the smallest change up; each must prove itself in training …");
    const end = await mend(setting), remedy = end.event === "done" && end.proved !== null ? end.tried[end.proved] : null;
    if (remedy) {
      words(`${remedy.title} is proved. Training the mended network …`);
      const after = await apply(setting, remedy, end);
      if (after.event === "done") words(`Fifty layers, mended: ${act.dataset.before} right before, ${percent(after.accuracy)} after. Only this changed: ${remedy.title}.`);
      act.dataset.next = "again";
    } else words(end.event === "done" ? "No remedy was proved this time." : "That did not end well: see below, and try again.");
  }
  setText(act, { mend: "Mend them, and train again" }[act.dataset.next] ?? "Watch 50 layers fail");
  act.disabled = false;
}

// The table that a learner fills by their own hands.
function note(setting, facts, remedy) {
  const key = noteKey(setting, remedy);
  notes.set(key, { name: remedy ?? nameOf(setting), ...notes.get(key), ...facts });
  drawNotes();
}

function drawNotes() {
  const rows = [...notes.values()], claims = rows.filter((row) => row.setting), others = rows.filter((row) => !row.setting).slice(-12);
  const right = (row) => (row.right === undefined || row.right === null ? (row.outcome ?? "–") : percent(row.right));
  const act = (row) => h("button", { type: "button", class: "small", "aria-disabled": row.busy && "true", "aria-label": `Measure: ${row.name}`, onclick: () => row.busy || measure(row) }, row.busy ? "measuring …" : row.outcome ? "Again" : "Measure");
  const held = document.activeElement.closest("#notes") && document.activeElement.getAttribute("aria-label"); // who came by keys stays
  $("#notes").replaceChildren(...[...claims, ...others].map((row) => h("tr", {}, h("th", { scope: "row" }, row.name), h("td", {}, row.verdict ?? "–"), h("td", {}, row.gradient === undefined ? "–" : magnitude(row.gradient)), h("td", {}, right(row)), h("td", {}, row.setting && act(row)))));
  if (held) $(`#notes [aria-label="${held}"]`)?.focus();
}

// A row of the lesson: its setting is put, preflighted and trained, and the row fills.
async function measure(row) {
  const key = noteKey(row.setting), busy = (is) => { notes.set(key, { ...notes.get(key), busy: is }); drawNotes(); };
  controls.put(row.setting);
  lastChange = -Infinity;
  turn();
  busy(true);
  await Promise.all([preflight(), train(row.setting)]);
  busy(false);
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  setText($("#theme"), isDark() ? "Light" : "Dark");
}

function route() {
  const lessons = location.hash.startsWith("#lessons");
  $("#lab").hidden = lessons;
  $("#lessons").hidden = !lessons;
  $("#to-lab").toggleAttribute("aria-current", false);
  for (const [link, here] of [["#to-lab", !lessons], ["#to-lessons", lessons]]) here ? $(link).setAttribute("aria-current", "page") : $(link).removeAttribute("aria-current");
  document.title = `${lessons ? "Lessons" : "The lab"} · Fathometer`;
  if (lessons) showLessons(beginning.lessons, location.hash.split("/")[1], open);
}

function open(setting) {
  controls.put(setting);
  location.hash = "#lab";
  lastChange = -Infinity;
  turn();
  scrollTo(0, 0);
}

for (const [name, one] of Object.entries(beginning.beginnings)) {
  const button = h("button", { type: "button", "data-name": name, title: one.sentence, "aria-label": `${one.label}: ${one.sentence}`, onclick: () => begin(name) }, one.label);
  button.style.setProperty("--share", depthShare(one.setting.depth));
  $("#beginnings").append(button);
}
$("#full-target").append(...beginning.full_size.targets.map((name) => h("option", { value: name }, name)));
$("#full-norm").append(...beginning.full_size.residuals.map((name) => h("option", { value: name }, { "pre-norm": "norm first", "post-norm": "norm last", plain: "no norm" }[name])));
for (const [id, deed] of [["preflight", preflight], ["mend", () => mend()], ["train", () => train()], ["look", look], ["full", fullSize]]) $(`#do-${id}`).addEventListener("click", deed);
$("#act").addEventListener("click", story);
$("#rail").addEventListener("submit", (event) => event.preventDefault());
$("#theme").addEventListener("click", () => { const next = isDark() ? "light" : "dark"; localStorage.setItem("theme", next); setTheme(next); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme());
onConnection((state) => {
  $("#connection").dataset.state = state;
  setText($("#connection"), { there: "", lost: "The lab does not answer; looking for it …", back: "Connected again" }[state]);
});
addEventListener("hashchange", route);
setTheme(localStorage.getItem("theme"));
route();
drawNotes();
turn();
