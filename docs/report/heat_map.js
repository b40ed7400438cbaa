// A zoomable view of a [tokens, tokens] image on a canvas. It knows no values: report.js gives images and reads cells.
// Positions are in tokens: `left`, `top` of the visible square and `span`, its side. The whole map has span = tokens.
"use strict";

function heatMapView(canvas, labels, on) {
  const tokens = labels.length;
  const largestCell = 56;  // CSS pixels a token at the deepest zoom
  const labelledCell = 11;  // from this size on, axes show token pieces
  const context = canvas.getContext("2d");
  let image = null;
  let size = 0, gutter = 0, side = 0;
  let left = 0, top = 0, span = tokens;
  let pointed = null;  // {row, column}
  let chosen = null;  // row
  let frame = 0;
  let style = {};

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const cell = () => side / span;

  function readStyle() {
    const found = getComputedStyle(canvas);
    const variable = (name) => found.getPropertyValue(name).trim();
    style = { ink: variable("--ink"), quiet: variable("--quiet"), rule: variable("--rule"),
              accent: variable("--accent"), surface: variable("--surface"), sans: variable("--sans") };
  }

  function resize() {
    size = canvas.clientWidth;
    gutter = size < 480 ? 72 : 84;
    side = Math.max(1, size - gutter - 10);
    canvas.style.height = size + "px";
    canvas.width = canvas.height = Math.round(size * devicePixelRatio);
    redraw();
  }

  function redraw() {
    if (!frame) frame = requestAnimationFrame(() => { frame = 0; draw(); });
  }

  function look(newLeft, newTop, newSpan) {
    span = clamp(newSpan, Math.min(tokens, side / largestCell), tokens);
    left = clamp(newLeft, 0, tokens - span);
    top = clamp(newTop, 0, tokens - span);
    canvas.style.touchAction = span < tokens ? "none" : "pan-y";
    redraw();
  }

  // Zooms so that the token position under (x, y), in CSS pixels of the canvas, stays where it is.
  function zoomAt(factor, x = gutter + side / 2, y = gutter + side / 2) {
    const fx = (x - gutter) / side, fy = (y - gutter) / side;
    const next = clamp(span / factor, Math.min(tokens, side / largestCell), tokens);
    look(left + fx * (span - next), top + fy * (span - next), next);
  }

  function cellAt(x, y) {
    const column = Math.floor(left + (x - gutter) / cell()), row = Math.floor(top + (y - gutter) / cell());
    const inside = x >= gutter && y >= gutter && x < gutter + side && y < gutter + side;
    return inside && row < tokens && column < tokens ? { row, column } : null;
  }

  function point(position) {
    if (position?.row === pointed?.row && position?.column === pointed?.column) return;
    pointed = position;
    on.point(pointed);
    redraw();
  }

  // Scrolls just enough to bring the pointed cell into view.
  function reveal() {
    const inside = (start, index) => clamp(start, index + 1 - span, index);
    look(inside(left, pointed.column), inside(top, pointed.row), span);
  }

  // Drawing

  function shortened(text, width) {
    if (context.measureText(text).width <= width) return text;
    const signs = Array.from(text);
    while (signs.length > 1 && context.measureText(signs.join("") + "\u2026").width > width) signs.pop();
    return signs.join("") + "\u2026";
  }

  function tickStep() {
    for (let power = 1; ; power *= 10) {
      for (const step of [power, 2 * power, 5 * power]) if (step * cell() >= 44) return step;
    }
  }

  // Calls `write(index, position)` for each label of one axis; position is the middle of the token in CSS pixels.
  function forEachLabel(start, write) {
    const step = cell() >= labelledCell ? 1 : tickStep();
    const last = Math.min(tokens - 1, Math.floor(start + span));
    for (let index = Math.ceil(Math.floor(start) / step) * step; index <= last; index += step) {
      const middle = gutter + (index + 0.5 - start) * cell();
      if (middle >= gutter && middle <= gutter + side) write(index, middle);
    }
  }

  // Labels and title of the left axis or, `turned`, of the upper one, where pieces read upwards.
  function drawAxis(start, highlighted, title, turned) {
    const pieces = cell() >= labelledCell;
    const font = clamp(cell() * 0.72, 9.5, 13);
    forEachLabel(start, (index, middle) => {
      const strong = index === highlighted;
      context.font = `${strong ? "600 " : ""}${font}px ${style.sans}`;
      context.fillStyle = strong ? style.ink : style.quiet;
      context.textBaseline = "middle";
      context.save();
      context.translate(turned ? middle : gutter - 6, turned ? gutter - 6 : middle);
      if (turned && pieces) context.rotate(-Math.PI / 2);
      context.textAlign = !turned ? "right" : pieces ? "left" : "center";
      context.fillText(pieces ? shortened(labels[index], gutter - 26) : String(index), 0, turned && !pieces ? -4 : 0);
      context.restore();
    });
    context.save();
    context.translate(turned ? gutter + side / 2 : 6, turned ? 6 : gutter + side / 2);
    if (!turned) context.rotate(-Math.PI / 2);
    context.textBaseline = "top";
    context.textAlign = "center";
    context.font = `11px ${style.sans}`;
    context.fillStyle = style.quiet;
    context.fillText(title, 0, 0);
    context.restore();
  }

  function drawGrid() {
    if (cell() < 14) return;
    context.strokeStyle = style.surface;
    context.lineWidth = 1;
    context.beginPath();
    for (let index = Math.ceil(left); index < left + span; ++index) {
      const x = gutter + (index - left) * cell();
      context.moveTo(x, gutter);
      context.lineTo(x, gutter + side);
    }
    for (let index = Math.ceil(top); index < top + span; ++index) {
      const y = gutter + (index - top) * cell();
      context.moveTo(gutter, y);
      context.lineTo(gutter + side, y);
    }
    context.stroke();
  }

  // Outlines rows and columns of the map, at least 3 pixels thick so that they are seen on the whole map, too.
  function outline(row, column, colour) {
    const thick = Math.max(cell(), 3);
    context.strokeStyle = colour;
    context.lineWidth = 1.25;
    const y = gutter + (row + 0.5 - top) * cell() - thick / 2;
    context.strokeRect(gutter - 1, y, side + 2, thick);
    if (column === null) return;
    const x = gutter + (column + 0.5 - left) * cell() - thick / 2;
    context.strokeRect(x, gutter - 1, thick, side + 2);
  }

  function draw() {
    const ratio = canvas.width / Math.max(1, size);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, size, size);
    if (!image) return;
    context.save();
    context.beginPath();
    context.rect(gutter - 1, gutter - 1, side + 2, side + 2);
    context.clip();
    context.imageSmoothingEnabled = cell() * ratio < 1;
    context.drawImage(image, left, top, span, span, gutter, gutter, side, side);
    drawGrid();
    if (chosen !== null) outline(chosen, null, style.ink);
    if (pointed) outline(pointed.row, pointed.column, style.accent);
    context.restore();
    context.strokeStyle = style.rule;
    context.lineWidth = 1;
    context.strokeRect(gutter - 0.5, gutter - 0.5, side + 1, side + 1);
    drawAxis(top, pointed ? pointed.row : chosen, "output token", false);
    drawAxis(left, pointed?.column, "input token", true);
  }

  // Pointers: one drags, two pinch, a short one picks a row.

  const pointers = new Map();
  let travelled = 0;
  let lastScroll = -Infinity;

  const position = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    if (pointers.size === 0) travelled = 0;
    pointers.set(event.pointerId, position(event));
    canvas.classList.toggle("dragging", span < tokens);
  });

  canvas.addEventListener("pointermove", (event) => {
    const now = position(event);
    const before = pointers.get(event.pointerId);
    if (!before) return point(cellAt(now.x, now.y));
    pointers.set(event.pointerId, now);
    travelled += Math.hypot(now.x - before.x, now.y - before.y);
    if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
      const distance = (p) => Math.max(1, Math.hypot(p.x - other.x, p.y - other.y));
      zoomAt(distance(now) / distance(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
    } else if (travelled > 4) {
      look(left - (now.x - before.x) / cell(), top - (now.y - before.y) / cell(), span);
    }
  });

  function release(event) {
    const here = pointers.get(event.pointerId);
    pointers.delete(event.pointerId);
    canvas.classList.remove("dragging");
    if (!here || event.type === "pointercancel" || travelled > 4) return;
    const found = cellAt(here.x, here.y);
    if (found) point(found);
    if (found) on.choose(found.row);
  }
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", (event) => {
    if (pointers.size === 0 && event.pointerType === "mouse") point(null);  // what a finger picked stays
  });
  canvas.addEventListener("dblclick", () => look(0, 0, tokens));

  // The wheel zooms, unless it is just scrolling the page past the map.
  addEventListener("scroll", () => { lastScroll = performance.now(); }, { passive: true });
  canvas.addEventListener("wheel", (event) => {
    const scrolling = performance.now() - lastScroll < 250;
    const nothingToDo = span >= tokens && event.deltaY > 0;
    if (!event.ctrlKey && (scrolling || nothingToDo)) return;
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    const { x, y } = position(event);
    zoomAt(Math.exp(-clamp(pixels, -120, 120) * (event.ctrlKey ? 0.01 : 0.0025)), x, y);
  }, { passive: false });

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const actions = {
      "+": () => zoomAt(1.5), "=": () => zoomAt(1.5), "-": () => zoomAt(1 / 1.5), "0": () => look(0, 0, tokens),
      Enter: () => pointed && on.choose(pointed.row), Escape: () => point(null),
      PageUp: () => on.layer(-1), PageDown: () => on.layer(1),
    };
    if (moves[event.key]) {
      const [down, right] = moves[event.key];
      const from = pointed ?? { row: chosen ?? 0, column: 0 };
      const step = pointed ? 1 : 0;
      const move = (index, by) => clamp(index + step * by, 0, tokens - 1);
      point({ row: move(from.row, down), column: move(from.column, right) });
      reveal();
    } else if (actions[event.key]) {
      actions[event.key]();
    } else {
      return;
    }
    event.preventDefault();
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readStyle(); redraw(); });
  new ResizeObserver(() => { if (canvas.clientWidth !== size) resize(); }).observe(canvas);
  readStyle();
  resize();
  look(0, 0, tokens);

  return {
    show(newImage) { image = newImage; redraw(); },
    choose(row) { chosen = row; redraw(); },
    zoom: (factor) => zoomAt(factor),
    reset: () => look(0, 0, tokens),
    pointed: () => pointed,
  };
}
