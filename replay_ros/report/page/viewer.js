// The frame viewer: one SVG in pixels of the original image, with one group per layer.
"use strict";

const LAYERS = [
  { id: "regions", name: "Clusters", shape: "box" },
  { id: "truth", name: "Ground truth", shape: "box" },
  { id: "missed", name: "Missed objects", shape: "box" },
  { id: "detections", name: "Detections", shape: "box" },
  { id: "false", name: "False detections", shape: "box" },
  { id: "trails", name: "Trails", shape: "line" },
  { id: "tracks", name: "Tracks", shape: "box" },
  { id: "inliers", name: "Inliers", shape: "line" },
  { id: "outliers", name: "Outliers", shape: "line" },
  { id: "dynamic", name: "On moving objects", shape: "line" },
];
const KINDS = ["outliers", "inliers", "dynamic"]; // MatchKind
const MAX_SIDE_BY_SIDE = 80; // matches drawn from picture to picture
const shownFrames = report.frames.map((frame, index) => index).filter((index) => report.frames[index].picture);
const visible = Object.fromEntries(LAYERS.map((layer) => [layer.id, true]));
const viewer = { frame: null, pair: null, sideBySide: false };

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function seconds(index) {
  return report.seconds[index];
}

/** Show a frame; for one without a picture, the nearest frame that has one. */
function showFrame(index, scroll = false) {
  const nearest = shownFrames.reduce((best, each) => (Math.abs(each - index) < Math.abs(best - index) ? each : best), shownFrames[0]);
  if (nearest === undefined) return;
  viewer.frame = nearest;
  const pairs = pairsOf(nearest);
  viewer.pair = pairs.length ? pairs[0] : null;
  drawPairChoice(pairs);
  drawFrame();
  if (scroll) $("frames").scrollIntoView({ block: "start" });
}

/** The pairs whose newer keyframe is this frame, the nearest older keyframe first. */
function pairsOf(index) {
  return report.pairs.filter((pair) => pair.newer === index).sort((a, b) => b.older - a.older);
}

function step(by) {
  const position = shownFrames.indexOf(viewer.frame) + by;
  if (position >= 0 && position < shownFrames.length) showFrame(shownFrames[position]);
}

function drawPairChoice(pairs) {
  $("pairing").hidden = pairs.length === 0;
  $("pair").replaceChildren(...pairs.map((pair, position) =>
    make("option", { value: position }, `keyframe ${report.frames[pair.older].keyframe} (frame ${pair.older + 1})`)));
}

/** The boxes of a frame as [layer, xyxy, title, dashed, label]. */
function boxesOf(frame) {
  const found = [];
  const name = (boxes, k) => report.classes[boxes.labels[k]] ?? "object";
  if (frame.regions) for (const box of frame.regions) found.push(["regions", box, "cluster crop"]);
  if (frame.truth) frame.truth.xyxy.forEach((box, k) => {
    const missed = frame.truth.matched !== null && !frame.truth.matched[k];
    found.push([missed ? "missed" : "truth", box, `${name(frame.truth, k)}, ground truth${missed ? ", missed" : ""}`]);
  });
  if (frame.detections) frame.detections.xyxy.forEach((box, k) => {
    const wrong = frame.detections.matched !== null && !frame.detections.matched[k];
    const title = `${name(frame.detections, k)} ${frame.detections.scores[k].toFixed(2)}${wrong ? ", false detection" : ""}`;
    found.push([wrong ? "false" : "detections", box, title]);
  });
  if (frame.tracks) frame.tracks.xyxy.forEach((box, k) => {
    const lost = frame.tracks.lost[k];
    found.push(["tracks", box, `${name(frame.tracks, k)} #${frame.tracks.ids[k]}${lost ? ", lost: predicted" : ""}`, lost, `#${frame.tracks.ids[k]}`]);
  });
  return found;
}

function rectPath([x0, y0, x1, y1]) {
  return `M${x0} ${y0}H${x1}V${y1}H${x0}Z`;
}

function boxGroup(layer, boxes) {
  const group = svg("g", { "data-layer": layer });
  if (!boxes.length) return group;
  group.append(svg("path", { class: `overlay under ${layer}-under`, d: boxes.map(([, box]) => rectPath(box)).join("") }));
  const size = report.frames[viewer.frame].size[0] / 70;
  for (const [, box, title, dashed, label] of boxes) {
    group.append(svg("path", { class: `overlay box ${layer}${dashed ? " dashed" : ""}`, d: rectPath(box) }, svg("title", {}, title)));
    if (label) group.append(svg("text", { class: "id", x: box[0], y: box[3] + size, "font-size": size }, label));
  }
  return group;
}

function trailGroup(trails) {
  return svg("g", { "data-layer": "trails" },
    svg("path", { class: "overlay match trails", d: trails.map(([x0, y0, x1, y1]) => `M${x0} ${y0}L${x1} ${y1}`).join("") }));
}

/** Draw the matches of one kind. shift: offset of the older picture; null: both points are drawn on the newer one. */
function matchGroup(layer, pair, shift) {
  const [dx, dy] = shift ?? [0, 0];
  const lines = [], ends = [];
  const every = shift ? Math.ceil(pair.kinds.length / MAX_SIDE_BY_SIDE) : 1;
  pair.kinds.forEach((kind, k) => {
    if (KINDS[kind] !== layer || k % every) return;
    const [x0, y0] = pair.points0[k], [x1, y1] = pair.points1[k];
    lines.push(`M${x0 + dx} ${y0 + dy}L${x1} ${y1}`);
    ends.push(`M${x1} ${y1}h0`);
    if (shift) ends.push(`M${x0 + dx} ${y0 + dy}h0`);
  });
  return svg("g", { "data-layer": layer },
    svg("path", { class: `overlay match ${layer}`, d: lines.join("") }),
    svg("path", { class: `overlay ends ${layer}`, d: ends.join("") }));
}

function drawFrame() {
  const frame = report.frames[viewer.frame];
  const [width, height] = frame.size;
  const shift = viewer.sideBySide && viewer.pair ? sideShift(width, height) : null;
  const view = shift ? [Math.min(0, shift[0]), Math.min(0, shift[1]), width + Math.abs(shift[0]), height + Math.abs(shift[1])] : [0, 0, width, height];
  const root = svg("svg", { viewBox: view.join(" "), role: "img", "aria-label": `frame ${viewer.frame + 1}` });
  root.append(svg("image", { href: frame.picture, width, height, preserveAspectRatio: "none" }));
  if (shift) {
    const older = report.frames[viewer.pair.older].picture;
    const at = { x: shift[0], y: shift[1], width, height };
    root.append(older ? svg("image", { href: older, preserveAspectRatio: "none", ...at }) : svg("rect", { class: "gap", ...at }));
  }
  const counts = {};
  const boxes = boxesOf(frame);
  for (const layer of LAYERS) {
    let group;
    if (layer.shape === "box") {
      const own = boxes.filter(([id]) => id === layer.id);
      counts[layer.id] = own.length;
      group = boxGroup(layer.id, own);
    } else if (layer.id === "trails") {
      if (!frame.tracks) continue;
      counts[layer.id] = frame.tracks.trails.length;
      group = trailGroup(frame.tracks.trails);
    } else if (viewer.pair) {
      counts[layer.id] = viewer.pair.counts[layer.id] ?? 0;
      group = matchGroup(layer.id, viewer.pair, shift);
    } else continue;
    if (!visible[layer.id]) group.setAttribute("display", "none");
    root.append(group);
  }
  $("picture").replaceChildren(root);
  drawControls(frame, counts);
}

/** Offset of the older picture: left of the newer one on a wide screen, else above it. */
function sideShift(width, height) {
  const gap = 0.02 * width;
  return $("picture").clientWidth > 560 ? [-(width + gap), 0] : [0, -(height + gap)];
}

function drawControls(frame, counts) {
  const position = shownFrames.indexOf(viewer.frame);
  $("scrubber").value = position;
  $("scrubber").setAttribute("aria-valuetext", `frame ${viewer.frame + 1}`);
  $("frame-name").textContent = `Frame ${viewer.frame + 1} of ${report.frames.length}`;
  $("frame-time").textContent = `at ${seconds(viewer.frame).toFixed(2)} s` + (frame.keyframe !== null ? ` · keyframe ${frame.keyframe}` : "");
  for (const layer of LAYERS) {
    const label = document.querySelector(`[data-label="${layer.id}"]`);
    if (label) label.textContent = counts[layer.id] ?? "–";
  }
  const rows = [];
  if (frame.decision) rows.push(["Decision", `${frame.decision}: ${frame.reason}`]);
  const pair = viewer.pair;
  if (pair) {
    rows.push(["Geometry", [pair.geometry.toLowerCase().replace("_", " ") || "no pose", pair.reason].filter(Boolean).join(": ")]);
    const figures = [];
    if (pair.parallax_deg !== null) figures.push(`parallax ${pair.parallax_deg.toFixed(1)}°`);
    if (pair.residual_px !== null) figures.push(`residual ${pair.residual_px.toFixed(2)} px`);
    if (pair.scale) figures.push(`scale ${pair.scale.toLowerCase()}`);
    if (figures.length) rows.push(["Pose", figures.join(", ")]);
    if (pair.rotation_error_deg !== null)
      rows.push(["Error", `rotation ${pair.rotation_error_deg.toFixed(2)}°` + (pair.direction_error_deg !== null ? `, direction ${pair.direction_error_deg.toFixed(2)}°` : "")]);
    const total = Object.values(pair.counts).reduce((a, b) => a + b, 0);
    const drawn = viewer.sideBySide ? Math.ceil(pair.kinds.length / Math.ceil(pair.kinds.length / MAX_SIDE_BY_SIDE)) : pair.kinds.length;
    if (drawn < total) rows.push(["Matches", `${drawn} of ${total} are drawn`]);
  }
  const took = report.timing.stages.flatMap((stage) => {
    const at = stage.frames.indexOf(viewer.frame);
    return at >= 0 && stage.seconds[at] >= 0.0005 ? [`${stage.name} ${(1000 * stage.seconds[at]).toFixed(0)} ms`] : [];
  });
  if (took.length) rows.push(["Duration", took.join(", ")]);
  $("facts").replaceChildren(...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  for (const button of document.querySelectorAll("#frames-to-check button"))
    button.setAttribute("aria-current", String(Number(button.dataset.frame) === viewer.frame));
  if (window.markFrame) window.markFrame(viewer.frame);
}

/** The layers that at least one frame has. */
function availableLayers() {
  const ids = new Set();
  for (const frame of report.frames) {
    for (const [id] of boxesOf(frame)) ids.add(id);
    if (frame.tracks?.trails.length) ids.add("trails");
  }
  for (const pair of report.pairs) for (const kind of pair.kinds) ids.add(KINDS[kind]);
  if (ids.has("false") || ids.has("missed")) for (const id of ["detections", "truth"]) ids.add(id);
  return LAYERS.filter((layer) => ids.has(layer.id));
}

function startViewer() {
  if (!shownFrames.length) return;
  reveal("frames");
  for (const layer of availableLayers()) {
    const box = make("input", { type: "checkbox", "data-toggle": layer.id, onchange: (event) => {
      visible[layer.id] = event.target.checked;
      drawFrame();
    } });
    box.checked = true;
    $("layers").append(make("label", {}, box,
      make("span", { class: `swatch ${layer.shape}`, style: `color: var(--${layer.id.replace(/s$/, "")})` }),
      make("span", {}, layer.name), make("span", { class: "count", "data-label": layer.id })));
  }
  $("scrubber").max = shownFrames.length - 1;
  $("scrubber").addEventListener("input", (event) => showFrame(shownFrames[Number(event.target.value)]));
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("pair").addEventListener("change", (event) => {
    viewer.pair = pairsOf(viewer.frame)[Number(event.target.value)];
    drawFrame();
  });
  $("side-by-side").addEventListener("change", (event) => {
    viewer.sideBySide = event.target.checked;
    drawFrame();
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest?.("input, select, .js-plotly-plot") || event.altKey || event.ctrlKey || event.metaKey) return;
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move) {
      event.preventDefault();
      step(move);
    }
  });
  window.addEventListener("resize", () => viewer.sideBySide && drawFrame());
  $("shown").textContent = report.shown;
  for (const check of report.frames_to_check)
    $("frames-to-check").append(make("li", {}, make("button", { type: "button", "data-frame": check.frame, onclick: () => showFrame(check.frame) },
      make("span", { class: "frame" }, `Frame ${check.frame + 1}`),
      ...check.reasons.slice(0, 3).map((reason) => make("span", { class: "reason" }, reason)))));
  $("frames-to-check-card").hidden = report.frames_to_check.length === 0;
  document.querySelector(".viewer").classList.toggle("alone", report.frames_to_check.length === 0);
  // Start at the first matched keyframe, which has matches to show; without one, at the first frame.
  showFrame(report.pairs.length ? Math.min(...report.pairs.map((pair) => pair.newer)) : shownFrames[0]);
}
