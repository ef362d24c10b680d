// A map as a canvas of cells, with numbers where they fit, and over it a second canvas for the window.

import { ink, largest, shades, token } from "../colours.js";
import { tight } from "../numbers.js";

/**
 * @typedef {object} Shown
 * @property {Float32Array | Float64Array} numbers
 * @property {number[]} shape one, two or three axes
 * @property {number} width the most pixels it may take
 * @property {number} height
 * @property {number} [cell] the most pixels of a cell
 * @property {number[]} [ring] cells of border before each of the last two axes
 * @property {boolean} [picture] whether it is a picture, in greys
 * @property {number} [span] the number with the strongest colour
 * @property {ArrayLike<number> | null} [real] the numbers before a change
 * @property {number} [wrap] columns of a row of numbers that is folded into several
 *
 * @typedef {object} Lit
 * @property {number[][]} [cells] the window
 * @property {number[] | null} [strong] one cell of it
 * @property {number[][]} [winners] cells framed twice
 * @property {number | null} [cover] cover what comes after this flat position
 */

const TEXT = 26; // a cell's pixels from which its number is written
const SIGNAL = 20; // the least height of a signal's cells
const GRID = 12; // from which cells have a gap

export class Cells {
  /**
   * `pull`, where it is there, is called as a cell is dragged up or down with the mouse: the pixels it was dragged, and whether that ends it.
   * @param {string} label
   * @param {{ over: (cell: number[]) => void, press?: (cell: number[]) => void, leave?: () => void, pull?: (cell: number[], up: number) => boolean }} does
   */
  constructor(label, does) {
    this.does = does;
    this.el = document.createElement("div");
    this.el.className = "cells";
    this.el.setAttribute("role", "img");
    this.el.setAttribute("aria-label", label);
    this.under = this.el.appendChild(document.createElement("canvas"));
    this.over = this.el.appendChild(document.createElement("canvas"));
    this.over.className = "over";
    this.#listen();
  }

  /** The pixels of a cell that a map can have. @param {Pick<Shown, "shape" | "width" | "height" | "cell" | "ring" | "wrap">} shown */
  static fit({ shape, width, height, cell = 56, ring = [0, 0], wrap }) {
    const { rows, columns, across, down } = grid(shape, width, height, ring, wrap);
    const size = Math.min(width / (across * columns), (height - curve(shape, wrap)) / (down * rows), cell);
    return size >= 6 ? Math.floor(size) : size;
  }

  /** @param {Shown} shown */
  show(shown) {
    this.shown = shown;
    const { shape, numbers, ring = [0, 0], wrap, width, height } = shown;
    const size = this.cell = shown.cell !== undefined && shown.cell < 6 ? Math.min(shown.cell, Cells.fit(shown)) : Cells.fit(shown);
    this.top = curve(shape, wrap);
    this.high = this.top ? Math.max(size, SIGNAL) : size;
    Object.assign(this, grid(shape, width, height, ring, wrap));
    this.inner = { rows: this.rows - 2 * ring[0], columns: this.columns - 2 * ring[1] };
    const [w, h] = [Math.max(1, this.across * this.columns * size), Math.max(1, this.down * this.rows * this.high + this.top)];
    const ratio = devicePixelRatio || 1;
    for (const canvas of [this.under, this.over]) {
      canvas.width = Math.round(w * ratio);
      canvas.height = Math.round(h * ratio);
      Object.assign(canvas.style, { width: `${w}px`, height: `${h}px` });
    }
    Object.assign(this.el.style, { width: `${w}px`, height: `${h}px` });
    const pen = /** @type {CanvasRenderingContext2D} */ (this.under.getContext("2d"));
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const span = shown.span ?? (largest(numbers) || 1);
    this.shade = shades(numbers, Boolean(shown.picture), span);
    if (ring[0] || ring[1]) this.#hatch(pen, w, h);
    this.#maps(pen);
    if (this.top) this.#curve(pen, w, span);
    if (size >= TEXT) this.#numbers(pen);
    if (shown.real && size >= 8) this.#corners(pen);
    return this;
  }

  rows = 1; columns = 1; across = 1; down = 1; cell = 1; high = 1; top = 0; inner = { rows: 1, columns: 1 };
  /** @type {Shown | null} */ shown = null;
  /** @type {(x: number) => [number, number, number]} */ shade = () => [0, 0, 0];

  /** The pixels of a cell's corner; cells may lie in the border. @param {number[]} cell @returns {[number, number]} */
  corner(cell) {
    const { ring = [0, 0], wrap } = /** @type {Shown} */ (this.shown);
    let [row, column] = cell.length === 1 ? (wrap ? [Math.floor(cell[0] / wrap), cell[0] % wrap] : [0, cell[0]]) : cell.slice(-2);
    const frame = cell.length === 3 ? cell[0] : 0;
    row += ring[0] + Math.floor(frame / this.across) * this.rows;
    column += ring[1] + (frame % this.across) * this.columns;
    return [column * this.cell, row * this.cell + this.top];
  }

  /** @param {CanvasRenderingContext2D} pen */
  #maps(pen) {
    const { numbers, shape } = /** @type {Shown} */ (this.shown);
    const { rows, columns } = this.inner;
    const frames = shape.length === 3 ? shape[0] : 1;
    const bitmap = document.createElement("canvas");
    [bitmap.width, bitmap.height] = [Math.max(1, columns), Math.max(1, rows)];
    const paint = /** @type {CanvasRenderingContext2D} */ (bitmap.getContext("2d"));
    const image = paint.createImageData(bitmap.width, bitmap.height);
    pen.imageSmoothingEnabled = this.cell * (devicePixelRatio || 1) < 1;
    for (let frame = 0; frame < frames; frame++) {
      const begin = frame * rows * columns;
      for (let i = 0; i < rows * columns; i++) {
        image.data.set(this.shade(numbers[begin + i]), 4 * i);
        image.data[4 * i + 3] = begin + i < numbers.length ? 255 : 0;
      }
      paint.putImageData(image, 0, 0);
      const [x, y] = this.corner(shape.length === 3 ? [frame, 0, 0] : shape.length === 1 ? [0] : [0, 0]);
      pen.drawImage(bitmap, x, y, columns * this.cell, rows * this.high);
      if (this.cell >= GRID) this.#gaps(pen, x, y, rows, columns);
      if (frames > 1) { pen.strokeStyle = token("--line"); pen.lineWidth = 1; pen.strokeRect(x + 0.5, y + 0.5, columns * this.cell - 1, rows * this.cell - 1); }
    }
  }

  /** @param {CanvasRenderingContext2D} pen @param {number} x @param {number} y @param {number} rows @param {number} columns */
  #gaps(pen, x, y, rows, columns) {
    pen.fillStyle = token("--ground");
    for (let r = 1; r <= rows; r++) pen.fillRect(x, y + r * this.cell - 1, columns * this.cell, 1);
    for (let c = 1; c <= columns; c++) pen.fillRect(x + c * this.cell - 1, y, 1, rows * this.high);
  }

  /** @param {CanvasRenderingContext2D} pen */
  #numbers(pen) {
    const { numbers, shape } = /** @type {Shown} */ (this.shown);
    const large = this.cell >= 40;
    pen.font = `${large ? 13 : 11}px ${getComputedStyle(document.querySelector(".stage") ?? document.body).fontFamily}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    this.#each(shape, numbers.length, (cell, i) => {
      const [x, y] = this.corner(cell);
      pen.fillStyle = ink(this.shade(numbers[i]));
      pen.fillText(tight(numbers[i]), x + (this.cell - 1) / 2, y + this.high / 2);
    });
  }

  /** Mark the cells that a change has reached. @param {CanvasRenderingContext2D} pen */
  #corners(pen) {
    const { numbers, real, shape } = /** @type {Shown} */ (this.shown);
    pen.fillStyle = token("--accent");
    const side = Math.max(3, Math.min(7, this.cell / 4));
    this.#each(shape, numbers.length, (cell, i) => {
      if (!real || Object.is(numbers[i], real[i])) return;
      const [x, y] = this.corner(cell);
      const right = x + this.cell - (this.cell >= GRID ? 1 : 0);
      pen.beginPath();
      pen.moveTo(right, y); pen.lineTo(right, y + side); pen.lineTo(right - side, y);
      pen.fill();
    });
  }

  /** @param {number[]} shape @param {number} count @param {(cell: number[], i: number) => void} does */
  #each(shape, count, does) {
    const [columns, rows] = [shape.at(-1) ?? 1, shape.at(-2) ?? 1];
    for (let i = 0; i < count; i++) {
      const column = i % columns;
      const row = Math.floor(i / columns) % rows;
      does(shape.length === 1 ? [i] : shape.length === 2 ? [row, column] : [Math.floor(i / (rows * columns)), row, column], i);
    }
  }

  /** Draw the border as hatching. @param {CanvasRenderingContext2D} pen @param {number} w @param {number} h */
  #hatch(pen, w, h) {
    pen.strokeStyle = token("--line");
    pen.lineWidth = 1;
    pen.beginPath();
    for (let i = -h; i < w; i += 6) { pen.moveTo(i, h); pen.lineTo(i + h, 0); }
    pen.stroke();
  }

  /** Draw a signal as a curve above its cells. @param {CanvasRenderingContext2D} pen @param {number} w @param {number} span */
  #curve(pen, w, span) {
    const { numbers, ring = [0, 0] } = /** @type {Shown} */ (this.shown);
    const middle = this.top / 2;
    pen.strokeStyle = token("--line");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(0, middle); pen.lineTo(w, middle);
    pen.stroke();
    pen.strokeStyle = token("--ink");
    pen.lineWidth = 1.5;
    pen.beginPath();
    for (let i = 0; i < numbers.length; i++) pen.lineTo((i + ring[1] + 0.5) * this.cell, middle - (numbers[i] / span) * (middle - 4));
    pen.stroke();
  }

  /** Light the window. @param {Lit} lit */
  light({ cells = [], strong = null, winners = [], cover = null }) {
    const pen = /** @type {CanvasRenderingContext2D} */ (this.over.getContext("2d"));
    const ratio = devicePixelRatio || 1;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.over.width, this.over.height);
    if (cover !== null) this.#cover(pen, cover);
    const casing = token("--casing");
    const accent = token("--accent");
    const size = Math.max(this.cell, 1);
    const thick = size < 10 ? 1.5 : 2.5;
    const path = this.#outline(cells, size);
    for (const [width, style] of /** @type {[number, string][]} */ ([[thick + 2.5, casing], [thick, accent]])) {
      pen.lineWidth = width;
      pen.strokeStyle = style;
      pen.lineCap = "square";
      pen.stroke(path);
    }
    for (const cell of [...(strong ? [strong] : []), ...winners]) {
      const [x, y] = this.corner(cell);
      for (const [width, style] of /** @type {[number, string][]} */ ([[4, casing], [2, accent]])) {
        pen.lineWidth = width;
        pen.strokeStyle = style;
        if (size >= 12) pen.strokeRect(x + 3, y + 3, size - 7, this.high - 7);
        else pen.strokeRect(x - 1, y - 1, size + 2, this.high + 2);
      }
    }
  }

  /** Return the edges of a set of cells: one outline around those that touch. @param {number[][]} cells @param {number} size */
  #outline(cells, size) {
    const path = new Path2D();
    const set = new Set(cells.map(String));
    const has = (/** @type {number[]} */ cell, /** @type {number} */ down, /** @type {number} */ right) => {
      const near = [...cell];
      if (near.length > 1) near[near.length - 2] += down;
      near[near.length - 1] += right;
      return (near.length > 1 || !down) && set.has(String(near));
    };
    const wrapped = Boolean(this.shown?.wrap);
    for (const cell of cells) {
      const [x, y] = this.corner(cell).map((v) => v - (size >= GRID ? 0.5 : 0));
      if (wrapped || !has(cell, -1, 0)) { path.moveTo(x, y); path.lineTo(x + size, y); }
      if (wrapped || !has(cell, 1, 0)) { path.moveTo(x, y + this.high); path.lineTo(x + size, y + this.high); }
      if (wrapped || !has(cell, 0, -1)) { path.moveTo(x, y); path.lineTo(x, y + this.high); }
      if (wrapped || !has(cell, 0, 1)) { path.moveTo(x + size, y); path.lineTo(x + size, y + this.high); }
    }
    return path;
  }

  /** Cover what a play has not reached. @param {CanvasRenderingContext2D} pen @param {number} after */
  #cover(pen, after) {
    const { shape, numbers } = /** @type {Shown} */ (this.shown);
    pen.fillStyle = token("--ground");
    this.#each(shape, numbers.length, (cell, i) => {
      if (i <= after) return;
      const [x, y] = this.corner(cell);
      pen.fillRect(x, y, this.cell + 0.5, this.high + 0.5);
    });
  }

  /** Return the cell under the pointer, the nearest where it is on the border. @param {PointerEvent | MouseEvent} event */
  at(event) {
    const { shape, ring = [0, 0], wrap } = /** @type {Shown} */ (this.shown);
    const box = this.over.getBoundingClientRect();
    const clamp = (/** @type {number} */ v, /** @type {number} */ n) => Math.max(0, Math.min(n - 1, v));
    const column = Math.floor((event.clientX - box.left) / this.cell);
    const row = Math.floor((event.clientY - box.top - this.top) / this.cell);
    if (shape.length === 1) return [clamp(wrap ? clamp(row, this.rows) * wrap + clamp(column, wrap) : column - ring[1], shape[0])];
    const [r, c] = [clamp((row % this.rows) - ring[0], shape.at(-2) ?? 1), clamp((column % this.columns) - ring[1], shape.at(-1) ?? 1)];
    if (shape.length === 2) return [clamp(row - ring[0], shape[0]), clamp(column - ring[1], shape[1])];
    const frame = clamp(Math.floor(row / this.rows), this.down) * this.across + clamp(Math.floor(column / this.columns), this.across);
    return [clamp(frame, shape[0]), r, c];
  }

  #listen() {
    let last = "";
    /** @type {{ cell: number[], y: number } | null} */
    let pulled = null;
    let dragged = false;
    const tell = (/** @type {PointerEvent} */ event) => {
      if (!this.shown) return;
      const cell = this.at(event);
      if (String(cell) === last) return;
      last = String(cell);
      this.does.over(cell);
    };
    this.el.addEventListener("pointermove", (event) => {
      if (pulled && this.does.pull) {
        const up = pulled.y - event.clientY;
        if (dragged || Math.abs(up) > 4) dragged = this.does.pull(pulled.cell, up) || dragged;
        if (dragged) return;
      }
      if (event.pointerType === "mouse" || event.buttons) tell(event);
    });
    this.el.addEventListener("pointerdown", (event) => {
      tell(event);
      dragged = false;
      if (event.pointerType !== "mouse" || !this.does.pull || !this.shown) return;
      pulled = { cell: this.at(event), y: event.clientY };
      this.el.setPointerCapture(event.pointerId);
    });
    for (const end of ["pointerup", "pointercancel"]) this.el.addEventListener(end, () => { pulled = null; });
    this.el.addEventListener("click", (event) => { if (this.shown && !dragged) this.does.press?.(this.at(event)); });
    this.el.addEventListener("pointerleave", () => { last = ""; this.does.leave?.(); });
  }
}

/** The pixels that a signal's curve takes. @param {number[]} shape @param {number} [wrap] */
function curve(shape, wrap) {
  return shape.length === 1 && !wrap && shape[0] > 1 ? 56 : 0;
}

/**
 * Return the rows and columns of one frame with its border, and how many frames stand side by side.
 * @param {number[]} shape @param {number} width @param {number} height @param {number[]} ring @param {number} [wrap]
 */
function grid(shape, width, height, ring, wrap) {
  const rows = (shape.length === 1 ? (wrap ? Math.ceil(shape[0] / wrap) : 1) : shape[shape.length - 2]) + 2 * ring[0];
  const columns = (wrap ?? shape.at(-1) ?? 1) + 2 * ring[1];
  let across = 1;
  const frames = shape.length === 3 ? shape[0] : 1;
  const size = (/** @type {number} */ n) => Math.min(width / (n * columns), height / (Math.ceil(frames / n) * rows));
  for (let n = 2; n <= frames; n++) if (size(n) > size(across)) across = n;
  return { rows, columns, across, down: Math.ceil(frames / across) };
}
