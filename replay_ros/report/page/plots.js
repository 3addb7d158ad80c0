// The plots, drawn with Plotly; redrawn when the theme changes.
"use strict";

const CHI2_95 = 5.991; // 95 % quantile of chi-squared with two degrees of freedom
const NARROW = 480, LEGEND_ENTRY = 19; // pixels
const DATA = 10; // number of data colours in the style sheet
const PLOT_OPTIONS = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
const framePlots = new Set(); // ids of the plots over time, which mark the shown frame

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function dataColor(k) {
  return color(`data${(k % DATA) + 1}`);
}

function axis(title, more = {}) {
  return { title: { text: title, font: { size: 12 } }, gridcolor: color("line"), zerolinecolor: color("line"), linecolor: color("line"), automargin: true, ...more };
}

/** On a narrow screen the legend entries are stacked: add their height to the plot. */
function makeRoom(element, entries) {
  element.dataset.height ??= element.clientHeight;
  const room = element.clientWidth < NARROW ? LEGEND_ENTRY * entries : 0;
  element.style.height = `${Number(element.dataset.height) + room}px`;
}

/** Plotly draws tags in names, such as links: show them as text. */
function asText(name) {
  return name.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function plot(id, unescaped, layout) {
  const traces = unescaped.map((trace) => ({ ...trace, name: asText(trace.name) }));
  const touch = window.matchMedia("(pointer: coarse)").matches;
  makeRoom($(id), traces.length);
  const legend = { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" };
  Plotly.react($(id), traces, {
    margin: { l: 8, r: 12, t: 10, b: 8 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: color("soft") },
    hoverlabel: { bgcolor: color("card"), bordercolor: color("line"), font: { color: color("ink") } },
    dragmode: touch ? false : "zoom", showlegend: traces.filter((trace) => trace.showlegend !== false).length > 1, legend, ...layout,
  }, { ...PLOT_OPTIONS, displayModeBar: touch ? false : "hover" });
  if (!$(id).dataset.clicks) {
    $(id).dataset.clicks = "true";
    $(id).on("plotly_click", (event) => {
      const frame = event.points[0].customdata;
      if (typeof frame === "number") showFrame(frame, true);
    });
  }
}

/** Factor 1, 10, 100 or 1000 by which ellipses are enlarged to be visible next to the path. */
function enlargement(centers, covariances) {
  const extent = Math.max(...[0, 1].map((k) => Math.max(...centers.map((p) => p[k])) - Math.min(...centers.map((p) => p[k]))));
  const largest = Math.sqrt(CHI2_95 * Math.max(...covariances.map(([[a], [, c]]) => Math.max(a, c))));
  return [1000, 100, 10].find((factor) => largest > 0 && factor * largest < extent / 6 && largest < extent / 60) ?? 1;
}

/** Outlines of the 95 % ellipses, separated by nulls. */
function ellipses(centers, covariances, factor) {
  const x = [], y = [];
  centers.forEach(([cx, cy], k) => {
    const [[a, b], [, c]] = covariances[k];
    const mean = (a + c) / 2, half = Math.hypot((a - c) / 2, b);
    const angle = 0.5 * Math.atan2(2 * b, a - c);
    const long = factor * Math.sqrt(CHI2_95 * Math.max(mean + half, 0)), short = factor * Math.sqrt(CHI2_95 * Math.max(mean - half, 0));
    if (long === 0) return;
    for (let i = 0; i <= 40; i++) {
      const u = long * Math.cos((i * Math.PI) / 20), v = short * Math.sin((i * Math.PI) / 20);
      x.push(cx + u * Math.cos(angle) - v * Math.sin(angle));
      y.push(cy + u * Math.sin(angle) + v * Math.cos(angle));
    }
    x.push(null);
    y.push(null);
  });
  return [x, y];
}

/** The last place of each object by class, the paths of those that move, 95 % ellipses, and the true objects. */
function drawGround() {
  const { objects, true: truth, about } = report.ground_map;
  const traces = [];
  if (truth.length) {
    const [x, y] = [0, 1].map((k) => truth.map((place) => place[k]));
    traces.push({ x, y, name: "true", mode: "markers", type: "scatter", marker: { symbol: "x-thin-open", size: 5, color: color("soft") }, hoverinfo: "skip" });
  }
  const names = [...new Set(objects.map((each) => each.class_name))];
  names.forEach((name) => {
    const members = objects.filter((each) => each.class_name === name);
    const k = members[0].class_id; // the same colour in all reports
    const last = members.map((each) => each.path.at(-1));
    const [x, y] = ellipses(last, members.map((each) => each.covariance), 1);
    traces.push({ x, y, name: `${name}, 95 %`, mode: "lines", line: { width: 1, color: dataColor(k) }, opacity: 0.35, hoverinfo: "skip", showlegend: false, legendgroup: name });
    const paths = members.filter((each) => each.moving && each.path.length > 1).flatMap((each) => [...each.path, [null, null]]);
    if (paths.length) traces.push({ x: paths.map((p) => p[0]), y: paths.map((p) => p[1]), name: `${name}, paths`, mode: "lines", line: { width: 2, color: dataColor(k) }, hoverinfo: "skip", showlegend: false, legendgroup: name });
    traces.push({
      x: last.map((p) => p[0]), y: last.map((p) => p[1]), name, mode: "markers", legendgroup: name,
      marker: { size: 6, color: dataColor(k) }, customdata: members.map((each) => each.frames.at(-1)),
      text: members.map((each) => asText(each.name)), hovertemplate: "%{text}: %{x:.1f} m east, %{y:.1f} m north<extra></extra>",
    });
  });
  plot("plot-ground", traces, { xaxis: axis("east, m"), yaxis: axis("north, m", { scaleanchor: "x", scaleratio: 1 }) });
  $("ground-note").textContent = `${about} Ellipses hold 95 %. Click an object to see its last frame.`;
}

function drawTrajectory() {
  const path = report.trajectory;
  const x = [], y = [], frames = [];
  path.estimated.forEach(([px, py], k) => {
    if (path.starts[k] && k) for (const list of [x, y, frames]) list.push(null);
    x.push(px);
    y.push(py);
    frames.push(path.frames[k]);
  });
  const factor = enlargement(path.estimated, path.covariances);
  const [ex, ey] = ellipses(path.estimated, path.covariances, factor);
  const traces = [];
  if (path.true) traces.push({ x: path.true.map((p) => p[0]), y: path.true.map((p) => p[1]), customdata: path.true_frames, name: "Ground truth", mode: "lines", opacity: 0.35, line: { color: color("soft"), width: 7 }, hovertemplate: "%{x:.2f}, %{y:.2f}<extra>ground truth</extra>" });
  traces.push({ x: ex, y: ey, name: factor === 1 ? "95 % ellipses" : `95 % ellipses, enlarged ${factor} times`, mode: "lines", line: { color: dataColor(1), width: 1 }, fill: "toself", fillcolor: "rgba(213, 94, 0, 0.12)", hoverinfo: "skip" });
  traces.push({ x, y, customdata: frames, name: "Keyframes", mode: "lines+markers", line: { color: dataColor(0), width: 2 }, marker: { size: 7 }, text: frames.map((f) => (f === null ? "" : `frame ${f + 1}`)), hovertemplate: "%{text}<br>%{x:.2f}, %{y:.2f}<extra></extra>" });
  plot("plot-trajectory", traces, { xaxis: axis(path.axes[0]), yaxis: axis(path.axes[1], { scaleanchor: "x", scaleratio: 1 }) });
  $("trajectory-note").textContent = `${path.about} The ellipses accumulate the covariances of the steps from the first keyframe on; the variance of an unknown scale is left out.`;
}

function drawTracks() {
  const { lines, switch_frames, switch_ids, about } = report.tracks;
  const x = [], y = [], frames = [], text = [], row = {};
  lines.forEach((line, k) => {
    row[line.id] = k;
    line.frames.forEach((frame, i) => {
      if (i === 0 || frame !== line.frames[i - 1] + 1) for (const list of [x, y, frames, text]) list.push(null);
      x.push(seconds(frame));
      y.push(k);
      frames.push(frame);
      text.push(`${asText(line.name)} #${line.id}`);
    });
  });
  const traces = [{ x, y, text, customdata: frames, name: "tracks", mode: "lines+markers", line: { color: dataColor(0), width: 2 }, marker: { size: 3 }, hovertemplate: "%{text}<extra></extra>" }];
  if (switch_frames.length) traces.push({ x: switch_frames.map(seconds), y: switch_ids.map((id) => row[id]), customdata: switch_frames, text: switch_ids.map((id) => `#${id}`), name: "id switches", mode: "markers", marker: { color: dataColor(1), symbol: "x", size: 9 }, hovertemplate: "another id before %{text}<extra></extra>" });
  plot("plot-tracks", traces, { xaxis: axis("seconds since the start"), yaxis: axis("tracks by their first image", { showticklabels: false, zeroline: false }) });
  $("tracks-note").textContent = about;
}

function drawErrors() {
  const units = [...new Set(report.errors.map((series) => series.unit))];
  const layout = { grid: { rows: units.length, columns: 1, pattern: "independent", roworder: "top to bottom", ygap: 0.25 } };
  const traces = report.errors.map((series, k) => {
    const row = units.indexOf(series.unit), suffix = row ? row + 1 : "";
    return { x: series.frames.map(seconds), y: series.values, customdata: series.frames, name: series.name, mode: "lines+markers", xaxis: `x${suffix}`, yaxis: `y${suffix}`, line: { color: dataColor(k), width: 2 }, marker: { size: 5, symbol: k }, hovertemplate: `%{y:.3g} ${series.unit}<extra>%{fullData.name}</extra>` };
  });
  units.forEach((unit, row) => {
    const suffix = row ? row + 1 : "";
    layout[`xaxis${suffix}`] = axis(row === units.length - 1 ? "seconds since the start" : "", { anchor: `y${suffix}`, ...(row ? { matches: "x" } : {}), showticklabels: row === units.length - 1 });
    layout[`yaxis${suffix}`] = axis(unit, { anchor: `x${suffix}`, rangemode: "tozero" });
  });
  $("plot-errors").dataset.height = Math.max(300, 90 + 150 * units.length);
  plot("plot-errors", traces, layout);
}

function drawCurves() {
  const traces = report.curves.map((curve, k) => ({ x: curve.recall, y: curve.precision, mode: "lines", name: curve.ap === null ? curve.name : `${curve.name} (${curve.ap.toFixed(2)})`, line: { color: dataColor(k), width: 2, dash: ["solid", "dash", "dot"][Math.floor(k / DATA) % 3] }, hovertemplate: "recall %{x:.2f}, precision %{y:.2f}<extra>%{fullData.name}</extra>" }));
  plot("plot-curves", traces, { xaxis: axis("recall", { range: [0, 1.01] }), yaxis: axis("precision", { range: [0, 1.03] }), showlegend: true });
}

function percentile(values, q) {
  const sorted = [...values].sort((a, b) => a - b), at = (q / 100) * (sorted.length - 1);
  const below = sorted[Math.floor(at)], above = sorted[Math.ceil(at)];
  return below + (above - below) * (at - Math.floor(at));
}

function drawLatency() {
  const { stages, drops } = report.timing;
  const traces = stages.map((stage, k) => ({ x: stage.frames.map(seconds), y: stage.seconds.map((s) => 1000 * s), customdata: stage.frames, name: stage.name, mode: "lines+markers", line: { color: dataColor(k), width: 1.5 }, marker: { size: 5, symbol: k }, hovertemplate: "%{y:.0f} ms<extra>%{fullData.name}</extra>" }));
  drops.filter((each) => each.lost.length).forEach((each, k) => traces.push({ x: each.lost.map(seconds), y: each.lost.map(() => 0), customdata: each.lost, name: `no result of ${each.node}`, mode: "markers", marker: { color: dataColor(1 + k), symbol: "x", size: 9 }, hovertemplate: "no result<extra>%{fullData.name}</extra>" }));
  plot("plot-latency", traces, { xaxis: axis("seconds since the start"), yaxis: axis("milliseconds", { rangemode: "tozero" }), showlegend: true });
  const rows = stages.filter((stage) => stage.seconds.length).map((stage) => [stage.name, ...[50, 95, 99].map((q) => `${(1000 * percentile(stage.seconds, q)).toFixed(1)} ms`), String(stage.seconds.length)]);
  const lost = drops.map((each) => `${each.node}: ${each.images - each.lost.length} of ${each.images} images answered, ${each.refused} refused, ${each.lost.length - each.refused} missed.`).join(" ");
  $("latency-table").replaceChildren(tableOf({ columns: ["stage", "p50", "p95", "p99", "images"], rows }), make("p", { class: "note" }, lost));
}

function drawResources() {
  const use = report.timing.resources;
  const trace = (values, name, k, more) => ({ x: use.seconds, y: values, name, mode: "lines", line: { color: dataColor(k), width: 2 }, ...more });
  const traces = [trace(use.cpu_percent, "CPU", 0, { hovertemplate: "%{y:.0f} %<extra>CPU</extra>" }), trace(use.memory_mib, "memory", 1, { yaxis: "y2", hovertemplate: "%{y:.0f} MiB<extra>memory</extra>" })];
  if (use.gpu_memory_mib) traces.push(trace(use.gpu_memory_mib, "GPU memory", 2, { yaxis: "y2", hovertemplate: "%{y:.0f} MiB<extra>GPU</extra>" }));
  plot("plot-resources", traces, { xaxis: axis("seconds since the start of the replay"), yaxis: axis("CPU, % of one core", { rangemode: "tozero" }), yaxis2: axis("MiB", { overlaying: "y", side: "right", rangemode: "tozero", showgrid: false }) });
}

const PLOTS = [
  ["tracks", () => report.tracks, drawTracks],
  ["trajectory", () => report.trajectory, drawTrajectory],
  ["ground", () => report.ground_map, drawGround],
  ["errors", () => report.errors.length, drawErrors],
  ["curves", () => report.curves.length, drawCurves],
  ["timing", () => report.timing.stages.length, drawLatency],
  ["resources", () => report.timing.resources, drawResources],
];

function revealPlots() {
  const hasData = (id) => PLOTS.some(([name, exists]) => name === id && exists());
  for (const id of ["tracks", "trajectory", "ground", "errors", "curves"]) if (hasData(id)) reveal(id);
  drawTables();
  for (const id of ["timing", "resources"]) if (hasData(id)) reveal(id);
  drawProvenance();
  if (hasData("tracks")) framePlots.add("plot-tracks");
  if (hasData("errors")) framePlots.add("plot-errors");
  if (hasData("timing")) framePlots.add("plot-latency");
}

function drawPlots() {
  for (const [, exists, draw] of PLOTS) if (exists()) draw();
}

// Mark the shown frame in the plots over time, with a delay that skips the frames of a fast scrub.
let marking = 0;
window.markFrame = (frame) => {
  clearTimeout(marking);
  marking = setTimeout(() => {
    const at = seconds(frame);
    const line = { type: "line", x0: at, x1: at, y0: 0, y1: 1, yref: "paper", line: { color: color("accent"), width: 1 } };
    for (const id of framePlots) if ($(id).layout) Plotly.relayout($(id), { shapes: [line] });
  }, 120);
};
