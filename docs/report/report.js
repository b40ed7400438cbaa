// Builds the page from the JSON block. Strings from the model or the text become text nodes, never markup.
const data = JSON.parse(document.getElementById("explanation").textContent);
const tokens = data.tokens;
const byId = (id) => document.getElementById(id);

// Elements and numbers

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const typographic = (text) => text.replace("-", "\u2212").replace("e-", "e\u2212");

function number(value, digits = 3) {
  if (!isNumber(value)) return "not finite";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size < 1e-3 || size >= 1e5 ? value.toExponential(digits - 1) : value.toPrecision(digits);
  return typographic(text);
}
const signed = (value, digits) => (isNumber(value) && value > 0 ? "+" : "") + number(value, digits);
const largest = (values) => values.reduce((most, v) => (Number.isFinite(v) ? Math.max(most, Math.abs(v)) : most), 0);

// Control characters and direction overrides as visible signs; `blank` stands for a space.
function visible(text, blank = " ") {
  const signs = { "\n": "\u21b5", "\t": "\u21e5", " ": blank };
  return text.replace(/[\n\t ]/g, (sign) => signs[sign])
             .replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, "\ufffd");
}
const quoted = (index) => `\u2018${visible(tokens[index].piece)}\u2019`;

// Texts whose tokens are tinted by scores

// A token's blanks in front, which stay untinted, and its ink. A line feed stays one, after a sign that shows it.
function pieceNodes({ piece, special }) {
  if (special) return [element("span", { className: "ink", textContent: visible(piece) })];
  const [, blanks, rest] = piece.match(/^( *)([^]*)$/);
  const lineFeed = () => element("span", { className: "blank", textContent: "\u21b5\n" });
  const parts = (rest || blanks).split(/([\n\t])/).filter((part) => part !== "")
                                .map((part) => (part === "\n" ? lineFeed() : part === "\t" ? "\t" : visible(part)));
  return [rest ? blanks : "", element("span", { className: "ink" }, ...parts)];
}

// Makes a text in `box` and returns tint(scores, describe). One token at a time is a tab stop, the arrow keys move on.
function tokenText(box, { role, onPick }) {
  const spans = tokens.map((token, index) => {
    const span = element("span", { className: token.special ? "token special" : "token", tabIndex: index ? -1 : 0 },
                         ...pieceNodes(token));
    span.setAttribute("role", role);
    span.dataset.index = index;
    return span;
  });
  box.append(...spans);
  let described = () => "";

  const indexOf = (event) => {
    const span = event.target.closest?.(".token");
    return span && box.contains(span) ? Number(span.dataset.index) : null;
  };
  const showTip = (event) => {
    const index = indexOf(event);
    if (index !== null) tip.show(spans[index].lastChild, described(index));
  };
  box.addEventListener("pointerover", showTip);
  box.addEventListener("pointerout", tip.hide);
  box.addEventListener("focusin", (event) => {
    const index = indexOf(event);
    if (index === null) return;
    spans.forEach((span, k) => { span.tabIndex = k === index ? 0 : -1; });
    showTip(event);
  });
  box.addEventListener("focusout", tip.hide);
  box.addEventListener("click", (event) => { if (indexOf(event) !== null) onPick?.(indexOf(event)); });
  box.addEventListener("keydown", (event) => {
    const index = indexOf(event);
    if (index === null) return;
    const targets = { ArrowRight: index + 1, ArrowDown: index + 1, ArrowLeft: index - 1, ArrowUp: index - 1,
                      Home: 0, End: spans.length - 1 };
    if (event.key in targets) spans[targets[event.key]]?.focus();
    else if (onPick && (event.key === "Enter" || event.key === " ")) onPick(index);
    else return;
    event.preventDefault();
  });

  function tint(scores) {
    // Special tokens do not set the scale: a classifier's own token often outweighs the whole text.
    const ordinary = scores.filter((_, index) => !tokens[index].special);
    const most = largest(ordinary) || largest(scores);
    const ranks = new Array(scores.length);
    const magnitude = (index) => (isNumber(scores[index]) ? Math.abs(scores[index]) : -1);
    const order = Array.from(scores.keys()).sort((a, b) => magnitude(b) - magnitude(a));
    order.forEach((index, rank) => { ranks[index] = rank + 1; });
    described = (index) => `${quoted(index)}, token ${index}, id ${tokens[index].id}: ` +
                           `score ${signed(scores[index], 6)}, rank ${ranks[index]} of ${scores.length}`;
    spans.forEach((span, index) => {
      const score = scores[index];
      span.classList.toggle("positive", score > 0);
      span.classList.toggle("negative", score < 0);
      span.style.setProperty("--strength", isNumber(score) && most > 0 ? Math.min(Math.abs(score) / most, 1).toFixed(3) : "0");
      span.setAttribute("aria-label", described(index));
    });
    return most;
  }
  return { tint, spans };
}

const tip = {
  show(anchor, text) {
    const box = byId("tip");
    box.textContent = text;
    box.hidden = false;
    const at = anchor.getClientRects()[0] ?? anchor.getBoundingClientRect();
    const above = at.top - box.offsetHeight - 8;
    box.style.left = Math.max(8, Math.min(at.left, innerWidth - box.offsetWidth - 8)) + "px";
    box.style.top = (above > 4 ? above : at.bottom + 8) + "px";
  },
  hide() { byId("tip").hidden = true; },
};
addEventListener("scroll", tip.hide, { passive: true, capture: true });

// Head, prediction, tables

function showHead() {
  document.title = `${visible(data.model)} \u2013 alphaform report`;
  byId("model").textContent = visible(data.model);
  const facts = { "Model type": data.model_type, Method: data.method, Tokens: tokens.length, Layers: data.maps.length };
  byId("facts").append(...Object.entries(facts).map(([name, value]) =>
    element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: visible(String(value)) }))));
}

function showPredictions() {
  byId("prediction-section").hidden = data.predictions.length === 0;
  for (const { label, probability } of data.predictions) {
    const percent = isNumber(probability) ? 100 * probability : 0;
    const fill = element("div");
    fill.style.width = Math.min(Math.max(percent, 0), 100) + "%";
    const bar = element("div", { className: "bar" }, fill);
    bar.setAttribute("aria-hidden", "true");
    const digits = percent > 0 && percent < 0.1 ? 3 : 1;
    const shown = isNumber(probability) ? percent.toFixed(digits) + "\u202f%" : "not finite";
    const name = element("span", { className: "label", textContent: visible(label, "\u00a0") });
    const value = element("span", { className: "number", textContent: shown });
    byId("predictions").append(element("li", {}, name, bar, value));
  }
}

function showText() {
  const scores = tokens.map((token) => token.score ?? NaN);
  const most = tokenText(byId("text"), { role: "listitem" }).tint(scores);
  byId("legend-low").textContent = number(-most);
  byId("legend-high").textContent = signed(most);
  byId("legend-special").hidden = !tokens.some((token) => token.special);
}

function checkRow(check) {
  const row = element("tr", {}, element("th", { scope: "row", textContent: visible(check.name) }));
  if (check.skipped !== undefined) {
    row.append(element("td", { colSpan: 4, className: "skipped", textContent: visible(check.skipped) }),
               element("td", { className: "skipped", textContent: "skipped" }));
    return row;
  }
  const relative = check.max_abs === 0 ? 0 : (check.max_abs ?? NaN) / check.scale;
  for (const value of [check.max_abs, check.scale, relative, check.tolerance]) {
    row.append(element("td", { className: "number", textContent: number(value) }));
  }
  row.append(element("td", { className: check.pass ? "pass" : "fail", textContent: check.pass ? "pass" : "FAIL" }));
  return row;
}

function showChecks() {
  byId("checks-section").hidden = data.checks.length === 0;
  const made = data.checks.filter((check) => check.skipped === undefined);
  const passed = made.filter((check) => check.pass).length;
  const skipped = data.checks.length - made.length;
  byId("checks-summary").textContent =
    `${passed} of ${made.length} checks passed${skipped ? `, ${skipped} skipped` : ""}. ` +
    "A check passes if its largest error is at most the tolerance times the scale.";
  byId("checks").tBodies[0].append(...data.checks.map(checkRow));
}

function showSettings() {
  byId("settings-section").hidden = data.settings.length === 0;
  byId("settings").tBodies[0].append(...data.settings.map(({ name, value }) => element("tr", {},
    element("th", { scope: "row", textContent: visible(name) }), element("td", { textContent: visible(value) }))));
}

// Values and colours of the maps

// Base64 to float32, decoded when a layer is first looked at.
const decoded = new Map();
function mapValues(layer) {
  if (!decoded.has(layer)) {
    const text = atob(byId(`map-${layer}`).textContent);
    const bytes = new Uint8Array(text.length);
    for (let k = 0; k < text.length; ++k) bytes[k] = text.charCodeAt(k);
    const values = new Float32Array(bytes.buffer);
    const count = tokens.length;
    let causal = count > 1, negative = false;
    for (let i = 0; i < count; ++i) {
      for (let j = 0; j < count; ++j) {
        const value = values[i * count + j];
        if (j > i && value !== 0) causal = false;
        if (value < 0) negative = true;
      }
    }
    decoded.set(layer, { values, causal, negative, limit: largest(values) });
  }
  return decoded.get(layer);
}

const steps = 512;
function colourTable(table) {
  return Uint8Array.from({ length: 3 * (steps + 1) }, (_, k) => {
    const place = Math.floor(k / 3) / steps * (table.length - 1);
    const from = Math.min(Math.floor(place), table.length - 2), weight = place - from;
    return Math.round((1 - weight) * table[from][k % 3] + weight * table[from + 1][k % 3]);
  });
}
const colourTables = Object.fromEntries(Object.entries(data.palettes).filter(([, table]) => table.length > 1)
                                             .map(([name, table]) => [name, colourTable(table)]));
const darkPage = matchMedia("(prefers-color-scheme: dark)");
const paletteName = (negative) => (!negative ? "sequential" : darkPage.matches ? "diverging_dark" : "diverging");

// One pixel an entry. Above the diagonal of a causal map nothing is drawn: those entries are zero by construction.
const images = new Map();
function mapImage(layer, scale) {
  const { values, causal, negative, limit } = mapValues(layer);
  const key = `${layer} ${scale} ${paletteName(negative)}`;
  if (images.has(key)) return images.get(key);
  const count = tokens.length;
  const table = colourTables[paletteName(negative)];
  const [grey] = data.palettes.not_finite;
  const pixels = new ImageData(count, count);
  for (let i = 0; i < count; ++i) {
    for (let j = 0; j < (causal ? i + 1 : count); ++j) {
      const value = values[i * count + j];
      let depth = limit > 0 ? Math.abs(value) / limit : 0;
      if (scale === "square_root") depth = Math.sqrt(depth);
      const position = negative ? 0.5 + 0.5 * Math.sign(value) * depth : depth;
      const colour = 3 * Math.round(steps * position);
      const at = 4 * (i * count + j);
      for (let k = 0; k < 3; ++k) pixels.data[at + k] = Number.isFinite(value) ? table[colour + k] : grey[k];
      pixels.data[at + 3] = 255;
    }
  }
  const canvas = element("canvas", { width: count, height: count });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  images.set(key, canvas);
  return canvas;
}

function showScaleBar({ negative, limit }, scale) {
  const table = data.palettes[paletteName(negative)];
  const stops = table.map((colour) => `rgb(${colour.join(" ")})`);
  byId("scale-gradient").style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  const valueAt = (position) => {
    const depth = negative ? 2 * position - 1 : position;
    return limit * (scale === "square_root" ? Math.sign(depth) * depth * depth : depth);
  };
  byId("scale-ticks").replaceChildren(...[0, 0.25, 0.5, 0.75, 1].map((position) => {
    const value = valueAt(position);
    return element("span", { textContent: negative ? signed(value) : number(value) });
  }));
}

// The section of the maps

function showMaps() {
  const count = tokens.length;
  let layer = 0, row = count - 1;
  const { reduction } = data.maps[0];
  byId("reduction").textContent = { mean: "mean", "abs-mean": "mean magnitude" }[reduction] ?? visible(reduction);

  const rowText = tokenText(byId("row-text"), { role: "option", onPick: chooseRow });
  const view = heatMapView(byId("map"), tokens.map((token) => visible(token.piece, "\u00b7")),
                           { point: showCell, choose: chooseRow, layer: (step) => chooseLayer(layer + step) });
  const name = (k) => `layer ${data.maps[k].layer}`;

  function showCell(cell) {
    rowText.spans.forEach((span, k) => span.classList.toggle("pointed", k === cell?.column));
    if (!cell) return byId("map-readout").replaceChildren("Point at the map to read its values.");
    const value = mapValues(layer).values[cell.row * count + cell.column];
    byId("map-readout").replaceChildren(
      `output token ${cell.row} ${quoted(cell.row)} \u2190 ` +
        `input token ${cell.column} ${quoted(cell.column)}: `,
      element("strong", { textContent: signed(value, 6) }));
  }

  function chooseRow(index) {
    row = index;
    view.choose(row);
    byId("row-title").textContent = `Row of output token ${row} ${quoted(row)}, ${name(layer)}`;
    rowText.tint(mapValues(layer).values.slice(row * count, (row + 1) * count));
    rowText.spans.forEach((span, k) => {
      span.classList.toggle("chosen", k === row);
      span.setAttribute("aria-selected", k === row);
    });
    const box = byId("row-text"), span = rowText.spans[row];
    if (span.offsetTop < box.scrollTop || span.offsetTop + span.offsetHeight > box.scrollTop + box.clientHeight) {
      box.scrollTop = span.offsetTop - box.clientHeight / 2;
    }
  }

  function chooseLayer(index) {
    if (index < 0 || index >= data.maps.length) return;
    layer = index;
    radios[layer].checked = true;
    const scale = byId("scale").value;
    view.show(mapImage(layer, scale));
    showScaleBar(mapValues(layer), scale);
    byId("map").setAttribute("aria-label", `Attention map of ${name(layer)}, ${count} by ${count} tokens`);
    chooseRow(row);
    showCell(view.pointed());
    drawThumbnail(layer);
  }

  const radios = data.maps.map((map, k) => {
    const input = element("input", { type: "radio", name: "layer", value: k });
    input.setAttribute("aria-label", name(k));
    input.addEventListener("change", () => chooseLayer(k));
    const label = element("label", { title: name(k) }, input, element("canvas", { width: 96, height: 96 }),
                          element("span", { textContent: map.layer }));
    byId("layers").append(label);
    return input;
  });

  function drawThumbnail(k) {
    const context = radios[k].nextElementSibling.getContext("2d");
    context.clearRect(0, 0, 96, 96);
    context.imageSmoothingEnabled = count > 96;
    context.imageSmoothingQuality = "high";
    context.drawImage(mapImage(k, byId("scale").value), 0, 0, 96, 96);
  }

  // The other layers' thumbnails are drawn one by one, whenever the browser has nothing better to do.
  const whenIdle = window.requestIdleCallback ?? ((work) => setTimeout(work, 30));
  let round = 0;
  function drawThumbnails() {
    const mine = ++round;
    const next = (k) => {
      if (mine !== round || k >= radios.length) return;
      drawThumbnail(k);
      whenIdle(() => next(k + 1));
    };
    whenIdle(() => next(0));
  }

  const recolour = () => { chooseLayer(layer); drawThumbnails(); };
  byId("scale").addEventListener("change", recolour);
  darkPage.addEventListener("change", recolour);
  byId("zoom-in").addEventListener("click", () => view.zoom(1.5));
  byId("zoom-out").addEventListener("click", () => view.zoom(1 / 1.5));
  byId("zoom-reset").addEventListener("click", () => view.reset());
  chooseLayer(0);
  drawThumbnails();
}

showHead();
showPredictions();
showText();
showChecks();
showSettings();
byId("derivation").hidden = !document.querySelector(".derivation").hasChildNodes();
byId("formula").hidden = !byId("formula").hasChildNodes();
byId("formula-section").hidden = byId("formula").hidden && byId("derivation").hidden;
byId("maps-section").hidden = data.maps.length === 0 || tokens.length === 0;
// The maps stand behind this script in the file.
document.addEventListener("DOMContentLoaded", () => { if (!byId("maps-section").hidden) showMaps(); });
