// The page around the viewer and the plots: summary, tables, theme. Text is set by textContent only, never as HTML.
"use strict";

const report = JSON.parse(document.getElementById("content").textContent);
const $ = (id) => document.getElementById(id);

/** Make an element with attributes and children (strings or elements). */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const VERDICTS = { good: "good", doubtful: "doubtful", bad: "bad", plain: "" };
const MARKS = { good: "Good", doubtful: "Warning", bad: "Failure", plain: "Note" };

/** Show a section and link to it in the contents. */
function reveal(id) {
  $(id).hidden = false;
  const name = $(id).dataset.name;
  if (name) $("contents").append(make("a", { href: `#${id}` }, name));
}

function drawSummary() {
  $("title").textContent = report.title;
  $("subtitle").textContent = report.subtitle;
  if (!report.trained) {
    $("untrained").hidden = false;
    $("untrained").textContent = "Some results come from random weights and are meaningless: see below.";
  }
  for (const tile of report.tiles) {
    const value = make("p", { class: "value" }, tile.value);
    if (VERDICTS[tile.verdict] && VERDICTS[tile.verdict] !== tile.value)
      value.append(" ", make("span", { class: "word" }, VERDICTS[tile.verdict])); // the blank lets it wrap
    $("tiles").append(
      make("div", { class: `tile ${tile.verdict}` }, make("p", { class: "label" }, tile.label), value,
        make("p", { class: "detail" }, tile.detail)));
  }
  for (const problem of report.problems) {
    const text = make("span", { class: "text" }, problem.text);
    if (problem.frame !== null)
      text.append(" ", make("button", { type: "button", class: "link", onclick: () => showFrame(problem.frame, true) }, "Show"));
    $("problems").append(
      make("li", {}, make("span", { class: `mark ${problem.verdict}` }, MARKS[problem.verdict]), text));
  }
  $("problems-card").hidden = report.problems.length === 0;
}

function tableOf(table) {
  const isPairs = table.columns.every((name) => name === "");
  const head = make("tr", {}, ...table.columns.map((name) => make("th", { scope: "col" }, name)));
  const rows = table.rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell))));
  return make("div", { class: "scroll" },
    make("table", { class: isPairs || table.columns.length < 3 ? "pairs-of" : "" },
      ...(isPairs ? [] : [make("thead", {}, head)]), make("tbody", {}, ...rows)));
}

function drawTables() {
  for (const table of report.tables)
    $("tables").append(make("div", { class: "card" }, make("p", { class: "table-title" }, table.title), tableOf(table),
      table.note ? make("p", { class: "note" }, table.note) : null));
  if (report.tables.length) reveal("figures");
}

function drawProvenance() {
  for (const [index, table] of report.provenance.entries())
    $("provenance-tables").append(make("details", { class: "card", ...(index === 0 ? { open: "" } : {}) },
      make("summary", {}, table.title), tableOf(table), table.note ? make("p", { class: "note" }, table.note) : null));
  if (report.provenance.length) reveal("provenance");
}

// Theme: that of the system until the reader chooses one.
const darkSystem = window.matchMedia("(prefers-color-scheme: dark)");
let chosenTheme = null;

function theme() {
  return chosenTheme ?? (darkSystem.matches ? "dark" : "light");
}

function applyTheme() {
  document.documentElement.dataset.theme = theme();
  document.documentElement.style.colorScheme = theme();
  $("theme").textContent = theme() === "dark" ? "Light" : "Dark";
  drawPlots();
}

function start() {
  drawSummary();
  startViewer();
  revealPlots();
  $("theme").addEventListener("click", () => {
    chosenTheme = theme() === "dark" ? "light" : "dark";
    applyTheme();
  });
  darkSystem.addEventListener("change", applyTheme);
  applyTheme();
  document.documentElement.dataset.ready = "true";
}
