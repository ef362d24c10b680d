// A map as a canvas of cells, with numbers where they fit, and over it a second canvas for the window.

import { ink, largest, shades, token } from "../colours.js";
import { tight, unravel } from "../numbers.js";

const TEXT = 26; // a cell's pixels from which its number is written
const SIGNAL = 20; // the least height of a signal's cells
const GRID = 12; // from which cells have a gap
const CURVE = 56; // the pixels of a signal's curve

/** How cells lie: rows and columns of one frame, without and with its border, how many frames stand side by side, the pixels of a curve above. @param {Omit<Celled, "numbers">} shown */
function layout({ shape, width, height, cell = 56, ring = [0, 0], wrap }) {
  const [frames, inRows, inColumns] = wrap ? [1, Math.ceil(shape[0] / wrap), wrap] : [1, 1, ...shape].slice(-3);
  const rows = inRows + 2 * ring[0], columns = inColumns + 2 * ring[1], top = shape.length === 1 && !wrap && shape[0] > 1 ? CURVE : 0;
  const fits = (/** @type {number} */ n, above = 0) => Math.min(width / (n * columns), (height - above) / (Math.ceil(frames / n) * rows));
  let across = 1;
  for (let n = 2; n <= frames; n++) if (fits(n) > fits(across)) across = n;
  const most = Math.min(fits(across, top), cell);
  return { frames, inRows, inColumns, rows, columns, top, across, down: Math.ceil(frames / across), size: most >= 6 ? Math.floor(most) : most };
}

export class Cells {
  cell = 1;
  high = 1;
  /** @type {Celled | null} */ shown = null;
  /** @type {ReturnType<typeof shades>} */ #shade = () => [0, 0, 0];
  #laid = layout({ shape: [1], width: 1, height: 1 });

  /** @param {string} label @param {Doing} does */
  constructor(label, does) {
    this.does = does;
    this.el = Object.assign(document.createElement("div"), { className: "cells", role: "img", ariaLabel: label });
    this.under = this.el.appendChild(document.createElement("canvas"));
    this.over = this.el.appendChild(document.createElement("canvas"));
    this.over.className = "over";
    this.#listen();
  }

  /** The pixels of a cell that a map can have. @param {Omit<Celled, "numbers">} shown */
  static fit(shown) {
    return layout(shown).size;
  }

  /** @param {Celled} shown */
  show(shown) {
    const { numbers, ring = [0, 0], picture, real, cell = Infinity, span = largest(numbers) || 1 } = shown;
    const laid = this.#laid = layout(shown), { top, across, down, rows, columns } = laid;
    this.shown = shown;
    this.cell = cell < 6 ? Math.min(cell, laid.size) : laid.size;
    this.high = top ? Math.max(this.cell, SIGNAL) : this.cell;
    const w = Math.max(1, across * columns * this.cell), h = Math.max(1, down * rows * this.high + top);
    for (const canvas of [this.under, this.over]) Object.assign(canvas, { width: Math.round(w * devicePixelRatio), height: Math.round(h * devicePixelRatio) });
    for (const { style } of [this.el, this.under, this.over]) Object.assign(style, { width: `${w}px`, height: `${h}px` });
    const pen = this.#pen(this.under);
    this.#shade = shades(numbers, Boolean(picture), span);
    if (ring[0] || ring[1]) this.#hatch(pen, w, h);
    for (let frame = 0; frame < laid.frames; frame++) this.#frame(pen, frame);
    if (top) this.#curve(pen, w, span);
    if (this.cell >= TEXT) this.#numbers(pen);
    if (real && this.cell >= 8) this.#corners(pen, real);
    return this;
  }

  /** @param {HTMLCanvasElement} canvas */
  #pen(canvas) {
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    return pen;
  }

  get #map() {
    return /** @type {Celled} */ (this.shown);
  }

  /** The pixels of a cell's corner; cells may lie in the border. @param {number[]} cell @returns {[number, number]} */
  corner(cell) {
    const { ring = [0, 0], wrap } = this.#map, { across, rows, columns, top } = this.#laid;
    const [frame, row, column] = wrap ? [0, Math.floor(cell[0] / wrap), cell[0] % wrap] : [0, 0, ...cell].slice(-3);
    return [(column + ring[1] + (frame % across) * columns) * this.cell, (row + ring[0] + Math.floor(frame / across) * rows) * this.cell + top];
  }

  /** Each cell, its flat position and its corner. @param {(i: number, x: number, y: number) => void} does */
  #each(does) {
    const { numbers, shape } = this.#map;
    for (let i = 0; i < numbers.length; i++) does(i, ...this.corner(unravel(i, shape)));
  }

  /** Paint one frame. @param {CanvasRenderingContext2D} pen @param {number} frame */
  #frame(pen, frame) {
    const { numbers, shape } = this.#map, { inRows, inColumns, frames } = this.#laid, count = inRows * inColumns;
    const bitmap = new OffscreenCanvas(Math.max(1, inColumns), Math.max(1, inRows)), image = new ImageData(bitmap.width, bitmap.height);
    for (let i = 0, at = frame * count; i < count && at < numbers.length; i++, at++) {
      image.data.set(this.#shade(numbers[at]), 4 * i);
      image.data[4 * i + 3] = 255;
    }
    bitmap.getContext("2d")?.putImageData(image, 0, 0);
    const [x, y] = this.corner([frame, 0, 0].slice(-shape.length)), w = inColumns * this.cell, h = inRows * this.high;
    pen.imageSmoothingEnabled = this.cell * devicePixelRatio < 1;
    pen.drawImage(bitmap, x, y, w, h);
    pen.fillStyle = token("--ground");
    if (this.cell >= GRID) {
      for (let row = 1; row <= inRows; row++) pen.fillRect(x, y + row * this.cell - 1, w, 1);
      for (let column = 1; column <= inColumns; column++) pen.fillRect(x + column * this.cell - 1, y, 1, h);
    }
    const edge = new Path2D();
    edge.rect(x + 0.5, y + 0.5, w - 1, h - 1);
    if (frames > 1) this.#stroke(pen, edge, "--line", 1);
  }

  /** @param {CanvasRenderingContext2D} pen @param {Path2D} path @param {string} colour a token @param {number} width */
  #stroke(pen, path, colour, width) {
    pen.strokeStyle = token(colour);
    pen.lineWidth = width;
    pen.stroke(path);
  }

  /** @param {CanvasRenderingContext2D} pen */
  #numbers(pen) {
    const { numbers } = this.#map;
    pen.font = `${this.cell >= 40 ? 13 : 11}px ${token("font-family")}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    this.#each((i, x, y) => {
      pen.fillStyle = ink(this.#shade(numbers[i]));
      pen.fillText(tight(numbers[i]), x + (this.cell - 1) / 2, y + this.high / 2);
    });
  }

  /** Mark the cells that a change has reached. @param {CanvasRenderingContext2D} pen @param {ArrayLike<number>} real */
  #corners(pen, real) {
    const { numbers } = this.#map, side = Math.max(3, Math.min(7, this.cell / 4)), path = new Path2D();
    this.#each((i, x, y) => {
      const right = x + this.cell - (this.cell >= GRID ? 1 : 0);
      if (!Object.is(numbers[i], real[i])) path.addPath(new Path2D(`M${right} ${y}v${side}l${-side} ${-side}z`));
    });
    pen.fillStyle = token("--accent");
    pen.fill(path);
  }

  /** Draw the border as hatching. @param {CanvasRenderingContext2D} pen @param {number} w @param {number} h */
  #hatch(pen, w, h) {
    const path = new Path2D();
    for (let i = -h; i < w; i += 6) { path.moveTo(i, h); path.lineTo(i + h, 0); }
    this.#stroke(pen, path, "--line", 1);
  }

  /** Draw a signal as a curve above its cells. @param {CanvasRenderingContext2D} pen @param {number} w @param {number} span */
  #curve(pen, w, span) {
    const { numbers, ring = [0, 0] } = this.#map, middle = CURVE / 2, path = new Path2D();
    numbers.forEach((x, i) => path.lineTo((i + ring[1] + 0.5) * this.cell, middle - (x / span) * (middle - 4)));
    this.#stroke(pen, new Path2D(`M0 ${middle}H${w}`), "--line", 1);
    this.#stroke(pen, path, "--ink", 1.5);
  }

  /** Light the window. @param {Light} lit */
  light({ cells = [], strong = null, winners = [], cover = Infinity }) {
    if (!this.shown) return;
    const pen = this.#pen(this.over), size = Math.max(this.cell, 1), thick = size < 10 ? 1.5 : 2.5, frames = new Path2D();
    pen.clearRect(0, 0, this.over.width, this.over.height);
    pen.fillStyle = token("--ground");
    if (cover < Infinity) this.#each((i, x, y) => { if (i > cover) pen.fillRect(x, y, this.cell + 0.5, this.high + 0.5); });
    pen.lineCap = "square";
    const outline = this.#outline(cells, size);
    this.#stroke(pen, outline, "--casing", thick + 2.5);
    this.#stroke(pen, outline, "--accent", thick);
    for (const cell of strong ? [strong, ...winners] : winners) {
      const [x, y] = this.corner(cell), inset = size >= 12 ? 3 : -1, less = size >= 12 ? 7 : -2;
      frames.rect(x + inset, y + inset, size - less, this.high - less);
    }
    this.#stroke(pen, frames, "--casing", 4);
    this.#stroke(pen, frames, "--accent", 2);
  }

  /** Return the edges of a set of cells: one outline around those that touch. @param {number[][]} cells @param {number} size */
  #outline(cells, size) {
    const path = new Path2D(), set = new Set(cells.map(String)), wrapped = Boolean(this.shown?.wrap), { high } = this;
    for (const cell of cells) {
      const [x, y] = this.corner(cell).map((v) => v - (size >= GRID ? 0.5 : 0)), last = cell.length - 1;
      const edge = (/** @type {number} */ axis, /** @type {number} */ by, /** @type {string} */ line) => {
        if (wrapped || axis < 0 || !set.has(String(cell.with(axis, cell[axis] + by)))) path.addPath(new Path2D(line));
      };
      edge(last - 1, -1, `M${x} ${y}h${size}`);
      edge(last - 1, 1, `M${x} ${y + high}h${size}`);
      edge(last, -1, `M${x} ${y}v${high}`);
      edge(last, 1, `M${x + size} ${y}v${high}`);
    }
    return path;
  }

  /** Return the cell under the pointer, the nearest where it is on the border. @param {MouseEvent} event */
  at(event) {
    const { shape, ring = [0, 0], wrap } = this.#map, { rows, columns, across, down, inRows, inColumns, frames, top } = this.#laid;
    const box = this.over.getBoundingClientRect(), within = (/** @type {number} */ v, /** @type {number} */ n) => Math.max(0, Math.min(n - 1, v));
    const x = within(Math.floor((event.clientX - box.left) / this.cell), across * columns), y = within(Math.floor((event.clientY - box.top - top) / this.cell), down * rows);
    const row = within((y % rows) - ring[0], inRows), column = within((x % columns) - ring[1], inColumns);
    if (wrap) return [within(row * wrap + column, shape[0])];
    return [within(Math.floor(y / rows) * across + Math.floor(x / columns), frames), row, column].slice(-shape.length);
  }

  #listen() {
    const { el, does } = this;
    let last = "", dragged = false, /** @type {{ cell: number[], y: number } | null} */ pulled = null;
    const tell = (/** @type {PointerEvent} */ event) => {
      const cell = this.shown ? this.at(event) : null;
      if (cell && String(cell) !== last) { last = String(cell); does.over(cell); }
    };
    el.addEventListener("pointermove", (event) => {
      if (pulled && does.pull) {
        const up = pulled.y - event.clientY;
        if (dragged || Math.abs(up) > 4) dragged = does.pull(pulled.cell, up) || dragged;
        if (dragged) return;
      }
      if (event.pointerType === "mouse" || event.buttons) tell(event);
    });
    el.addEventListener("pointerdown", (event) => {
      tell(event);
      dragged = false;
      if (event.pointerType !== "mouse" || !does.pull || !this.shown) return;
      pulled = { cell: this.at(event), y: event.clientY };
      el.setPointerCapture(event.pointerId);
    });
    for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) el.addEventListener(end, () => { pulled = null; });
    el.addEventListener("click", (event) => { if (this.shown && !dragged) does.press?.(this.at(event)); });
    el.addEventListener("pointerleave", () => { last = ""; does.leave?.(); });
  }
}
