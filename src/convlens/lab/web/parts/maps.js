// Many maps on one canvas: painted once, line by line, as they come into sight; pointed at, scrolled, walked by keys.

import { NOT_FINITE, colour, css, ink, isDark, place, table, token } from "../colours.js";
import { tight } from "../numbers.js";

/**
 * @typedef {import("../answers.js").SheetAnswer} Sheet
 * @typedef {{ numbers: ArrayLike<number>, start: number, rows: number, columns: number, span: number }} Kernel
 * @typedef {object} Shown
 * @property {Pick<Sheet, "rows" | "columns" | "maps" | "low" | "high" | "codes" | "largest" | "exact">} sheet
 * @property {number} frames maps of the sheet that are one map here, in a block about as high as wide
 * @property {number} [first] the map that comes first of `count`; all maps when missing
 * @property {number} [count]
 * @property {boolean} picture
 * @property {boolean} shared whether one scale holds for all maps
 * @property {{ width: number, height: number }} room
 * @property {number} [across] maps in a row; as many as make them largest when missing
 * @property {number} [most] maps in a row at most
 * @property {number} zoom
 * @property {(map: number) => Kernel | null} [kernel] what stands beside a map
 */

const GAP = 8;
const LABEL = 16; // pixels of a map's number above it
const LEAST = 40; // pixels of a map's width, below which the maps are scrolled
const MOST = 56; // pixels of a cell
const TEXT = 32; // pixels of a cell from which its number is written

/** Return how maps lie: cells and their pixels, frames and maps in a row, the pixels of a map and from one to the next. @param {Shown} shown */
export function arranged({ sheet, frames, first = 0, count = sheet.maps / frames, room, across, most = 64, zoom, kernel }) {
  // A long row of numbers without neighbours is folded into several.
  const fold = sheet.rows === 1 && sheet.maps === 1 && sheet.columns > 64 ? 2 ** Math.ceil(Math.log2(Math.sqrt(sheet.columns))) : 0;
  const [rows, columns] = fold ? [Math.ceil(sheet.columns / fold), fold] : [sheet.rows, sheet.columns];
  const strip = rows === 1 && columns > 1;
  const beside = Math.max(1, Math.min(frames, Math.round(Math.sqrt((frames * rows) / columns))));
  const [wide, tall, twice] = [columns * beside, rows * Math.ceil(frames / beside), kernel ? 2 : 1];
  const fit = (/** @type {number} */ n) => Math.min(MOST, ((room.width + 4) / n - GAP - 2 * twice) / (wide * twice));
  const fits = (/** @type {number} */ n) => Math.min(fit(n), strip ? MOST : (room.height / Math.ceil(count / n) - LABEL - GAP) / tall);
  let cell = across ? fit(across) : 0;
  if (!across) for (let n = 1; n <= Math.min(most, Math.max(1, count)); n++) cell = Math.max(cell, fits(n));
  cell = Math.max(cell, Math.min(LEAST / wide, fit(1))) * 1.25 ** zoom;
  if (cell >= 6) cell = Math.floor(cell);
  const high = strip ? Math.max(14, Math.min(28, cell)) : cell;
  const [width, height] = [wide * cell, tall * high];
  const step = [(width + 2) * twice - 2 + GAP, height + LABEL + GAP];
  // Cells smaller than a pixel are sampled, because mixed colours stand for no number.
  const every = Math.max(1, Math.floor(1 / (cell * (globalThis.devicePixelRatio || 1))));
  return { rows, columns, frames, first, count, cell, high, beside, width, height, step, every, across: Math.max(1, Math.min(count, most, Math.floor((room.width + 5) / step[0]))) };
}

export class Maps {
  /** @type {Shown} */ #shown = { sheet: { rows: 1, columns: 1, maps: 0, low: new Float32Array(), high: new Float32Array(), codes: new Uint8Array(), largest: 0, exact: null }, frames: 1, picture: false, shared: false, room: { width: 1, height: 1 }, zoom: 0 };
  #laid = arranged(this.#shown);
  /** @type {Map<number, HTMLCanvasElement>} */ #lines = new Map();
  /** @type {Map<number, Uint32Array>} */ #colours = new Map();
  #painted = "";
  #chosen = -1;
  #frame = 0;
  #last = "";

  /** @param {string} label @param {(map: number, cell: number) => void} over @param {(map: number, cell: number) => void} press */
  constructor(label, over, press) {
    this.over = over;
    this.press = press;
    this.el = document.createElement("div");
    this.el.className = "maps";
    this.el.tabIndex = 0;
    Object.entries({ role: "application", "aria-roledescription": "maps", "aria-label": `${label}; arrows move between maps, Enter opens one` }).forEach((each) => this.el.setAttribute(...each));
    this.all = this.el.appendChild(document.createElement("div"));
    this.canvas = this.all.appendChild(document.createElement("canvas"));
    this.pen = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.el.addEventListener("scroll", () => this.again());
    this.el.addEventListener("pointermove", (event) => event.pointerType === "mouse" && this.#over(event));
    this.el.addEventListener("click", (event) => { const at = this.#at(event); if (at) press(...at); });
    this.el.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {Shown} shown */
  show(shown) {
    const { sheet, frames, room, picture } = shown;
    const other = this.#shown.sheet !== sheet;
    const shared = shown.shared ||= sheet.rows * sheet.columns * frames === 1; // a single number has no scale of its own
    this.#shown = shown;
    const { first, count, across, every, step } = this.#laid = arranged(shown);
    const painted = [isDark(), picture, shared, first, across, every].join();
    if (other || painted !== this.#painted) { this.#lines.clear(); this.#colours.clear(); }
    this.#painted = painted;
    if (other) this.el.scrollTop = 0;
    const total = Math.ceil(count / across) * step[1];
    const view = [room.width, Math.min(room.height, total)];
    const put = (/** @type {HTMLElement} */ el, /** @type {number[]} */ [width, height]) => Object.assign(el.style, { width: `${width}px`, height: `${height}px` });
    put(this.el, view);
    put(this.all, [Math.max(view[0], across * step[0] - GAP + 4), total]);
    put(this.canvas, view);
    [this.canvas.width, this.canvas.height] = view.map((side) => Math.round(side * (devicePixelRatio || 1)));
    Object.assign(this.el.dataset, { across, cell: this.#laid.cell });
    this.#draw();
  }

  /** Show other kernels, and where they lie on other maps, those. @param {Partial<Shown>} other */
  turn(other) {
    const moved = this.#shown.first !== other.first || this.#shown.count !== other.count;
    Object.assign(this.#shown, other);
    if (moved) this.show(this.#shown);
    else this.again();
  }

  /** Frame a map, -1 for none; with `reveal` scroll it into sight. @param {number} map @param {boolean} [reveal] */
  choose(map, reveal = false) {
    this.#chosen = map;
    const { el } = this;
    const [, y] = this.#corner(map);
    const bottom = y + this.#laid.height + GAP;
    if (reveal && y - LABEL < el.scrollTop) el.scrollTop = y - LABEL;
    else if (reveal && bottom > el.scrollTop + el.clientHeight) el.scrollTop = bottom - el.clientHeight;
    this.again();
  }

  /** Draw again, before the next frame. */
  again() {
    if (!this.#frame) this.#frame = requestAnimationFrame(() => { this.#frame = 0; this.#draw(); });
  }

  /** The pixels of a map's first cell. @param {number} map */
  #corner(map) {
    const { first, across, step } = this.#laid;
    return [2 + ((map - first) % across) * step[0], Math.floor((map - first) / across) * step[1] + LABEL];
  }

  #draw() {
    const { pen, el } = this;
    const { step, across, first, count, height } = this.#laid;
    const ratio = devicePixelRatio || 1;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.translate(-el.scrollLeft, -el.scrollTop);
    pen.imageSmoothingEnabled = false;
    pen.textBaseline = "middle";
    const family = getComputedStyle(el).fontFamily;
    const from = first + Math.floor(el.scrollTop / step[1]) * across;
    const to = first + Math.min(count, Math.ceil((el.scrollTop + el.clientHeight) / step[1]) * across);
    for (let map = from; map < to; map++) this.#map(map, family);
    if (this.#chosen < from || this.#chosen >= to || count < 2) return;
    const [x, y] = this.#corner(this.#chosen);
    for (const [width, name] of /** @type {const} */ ([[5, "--casing"], [2.5, "--accent"]])) {
      pen.lineWidth = width;
      pen.strokeStyle = token(name);
      pen.strokeRect(x - 0.5, y - 0.5, step[0] - GAP + 1, height + 1);
    }
  }

  /** @param {number} map @param {string} family of the font */
  #map(map, family) {
    const { pen } = this;
    const { cell, high, beside, across, first, rows, columns, frames, count, every, width } = this.#laid;
    const [x, y] = this.#corner(map);
    const [w, h] = [columns * cell, rows * high];
    const line = Math.floor((map - first) / across);
    const painted = this.#lines.get(line) ?? this.#paint(line);
    const [wide, tall] = [columns, rows].map((side) => Math.ceil(side / every));
    for (let frame = 0; frame < frames; frame++) {
      const [left, top] = [x + (frame % beside) * w, y + Math.floor(frame / beside) * h];
      pen.drawImage(painted, ((map - first) % across) * wide, frame * tall, wide, tall, left, top, w, h);
      pen.strokeStyle = token("--line");
      pen.lineWidth = 1;
      pen.strokeRect(left - 0.5, top - 0.5, w + 1, h + 1);
      this.#cells(map * frames + frame, left, top, family);
    }
    pen.font = `12px ${family}`;
    const kernel = this.#shown.kernel?.(map);
    if (kernel) this.#kernel(kernel, x + width + 2, y);
    if (count < 2) return;
    pen.textAlign = "left";
    pen.fillStyle = token(map === this.#chosen ? "--ink" : "--soft");
    pen.fillText(this.#table(map * frames)[256] ? `${map} NaN` : String(map), x, y - 8);
  }

  /** Write the numbers of large cells, and cross out what is not finite. @param {number} map of the sheet @param {number} left @param {number} top @param {string} family */
  #cells(map, left, top, family) {
    const { pen, el } = this;
    const { sheet } = this.#shown;
    const { cell, high, columns } = this.#laid;
    const rgb = this.#table(map);
    const written = cell >= TEXT && sheet.exact;
    if (!written && (cell < 8 || !rgb[256])) return;
    pen.font = `${cell >= 40 ? 13 : 11}px ${family}`;
    pen.textAlign = "center";
    for (let i = 0, size = sheet.rows * sheet.columns, at = map * size; i < size; i++, at++) {
      const [x, y] = [left + (i % columns) * cell, top + Math.floor(i / columns) * high];
      if (y + high < el.scrollTop || y > el.scrollTop + el.clientHeight) continue;
      const code = sheet.codes[at];
      pen.fillStyle = pen.strokeStyle = ink([rgb[code] & 255, (rgb[code] >> 8) & 255, (rgb[code] >> 16) & 255]);
      if (written) pen.fillText(tight(written[at]), x + cell / 2, y + high / 2);
      else if (!code) {
        pen.beginPath();
        pen.moveTo(x + 2, y + 2); pen.lineTo(x + cell - 2, y + high - 2); pen.moveTo(x + cell - 2, y + 2); pen.lineTo(x + 2, y + high - 2);
        pen.stroke();
      }
    }
  }

  /** Draw a kernel, as large as the map beside it. @param {Kernel} kernel @param {number} x @param {number} y */
  #kernel({ numbers, start, rows, columns, span }, x, y) {
    const { pen } = this;
    const side = Math.min(this.#laid.width / columns, this.#laid.height / rows);
    const inner = side - (side >= 6 ? 1 : 0);
    pen.textAlign = "center";
    for (let i = 0; i < rows * columns; i++) {
      const rgb = colour(numbers[start + i], span);
      const [left, top] = [x + (i % columns) * side, y + Math.floor(i / columns) * side];
      pen.fillStyle = css(rgb);
      pen.fillRect(left, top, inner, inner);
      pen.fillStyle = ink(rgb);
      if (side >= TEXT) pen.fillText(tight(numbers[start + i]), left + side / 2, top + side / 2);
    }
  }

  /** Paint a line of maps, the frames of each one below the other. @param {number} line */
  #paint(line) {
    const { sheet } = this.#shown;
    const { first, across, rows, columns, frames, count, every } = this.#laid;
    const [width, height] = [columns, rows].map((side) => Math.ceil(side / every));
    const from = line * across;
    const maps = Math.min(count - from, across);
    const size = sheet.rows * sheet.columns;
    const canvas = document.createElement("canvas");
    const wide = canvas.width = maps * width;
    canvas.height = frames * height;
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const image = pen.createImageData(wide, canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let k = 0; k < maps * frames; k++) {
      const map = (first + from) * frames + k;
      const rgb = this.#table(map);
      const corner = (k % frames) * height * wide + Math.floor(k / frames) * width;
      for (let r = 0; r < height; r++) {
        for (let c = 0, i = r * every * columns; c < width && i < size; c++, i += every) pixels[corner + r * wide + c] = rgb[sheet.codes[map * size + i]];
      }
    }
    pen.putImageData(image, 0, 0);
    this.#lines.set(line, canvas);
    return canvas;
  }

  /** Return the colours of a map's 256 codes as the canvas keeps them; then 1 where a number is not finite. @param {number} map of the sheet */
  #table(map) {
    const known = this.#colours.get(map);
    if (known) return known;
    const { sheet, picture, shared, frames } = this.#shown;
    const ends = shared ? [0, sheet.maps] : [map - (map % frames), map - (map % frames) + frames]; // the frames of a map share a scale
    const low = sheet.low.subarray(...ends).reduce((a, b) => Math.min(a, b), 0);
    const high = sheet.high.subarray(...ends).reduce((a, b) => Math.max(a, b), 0);
    const rgb = table(picture ? "picture" : "signed", isDark());
    const step = (sheet.high[map] - sheet.low[map]) / 254;
    const size = sheet.rows * sheet.columns;
    const made = new Uint32Array(257);
    for (let code = 0; code < 256; code++) {
      const x = sheet.low[map] + (code - 1) * step;
      const at = 3 * (picture ? place(x - low, high - low) : place(x, shared ? sheet.largest : Math.max(-low, high)));
      const [r, g, b] = code ? rgb.subarray(at, at + 3) : NOT_FINITE;
      made[code] = (255 << 24) | (b << 16) | (g << 8) | r;
    }
    made[256] = sheet.codes.subarray(map * size, (map + 1) * size).includes(0) ? 1 : 0;
    this.#colours.set(map, made);
    return made;
  }

  // Pointer and keys

  /** Return the map and its cell under the pointer, null between maps. @param {MouseEvent} event @returns {[number, number] | null} */
  #at({ clientX, clientY }) {
    const { el } = this;
    const { cell, high, beside, across, step, height, rows, columns, frames, first, count } = this.#laid;
    const box = el.getBoundingClientRect();
    const [x, y] = [clientX - box.left + el.scrollLeft - 2, clientY - box.top + el.scrollTop];
    const [column, line] = [Math.floor(x / step[0]), Math.floor(y / step[1])];
    const [left, top] = [x - column * step[0], y - line * step[1] - LABEL];
    if (column < 0 || column >= across || line * across + column >= count || left > step[0] - GAP || top > height) return null;
    const [c, r] = [[left / cell, columns * beside], [top / high, height / high]].map(([at, most]) => Math.max(0, Math.min(most - 1, Math.floor(at))));
    const frame = Math.min(frames - 1, Math.floor(r / rows) * beside + Math.floor(c / columns));
    const size = this.#shown.sheet.rows * this.#shown.sheet.columns;
    return [first + line * across + column, frame * size + Math.min(size - 1, (r % rows) * columns + (c % columns))];
  }

  /** @param {PointerEvent} event */
  #over(event) {
    const at = this.#at(event);
    this.el.classList.toggle("on", at !== null);
    const key = at ? String(this.#laid.count > 1 ? at[0] : at) : this.#last;
    if (!at || key === this.#last) return;
    this.#last = key;
    this.over(...at);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { first, count, across } = this.#laid;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across, Home: -Infinity, End: Infinity, Enter: 0 }[event.key];
    if (by === undefined || !count || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const inside = (/** @type {number} */ map) => Math.max(first, Math.min(first + count - 1, map));
    const now = inside(this.#chosen);
    if (!by) return this.press(now, -1);
    const next = Number.isFinite(by) && inside(now + by) !== now + by ? now : inside(now + by);
    this.#last = "";
    this.over(next, -1);
    this.choose(next, true);
  }
}
