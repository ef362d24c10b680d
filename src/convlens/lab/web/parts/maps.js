// Many maps on one canvas: painted once, line by line, as they come into sight; pointed at, scrolled, walked by keys.

import { NOT_FINITE, colour, css, ink, isDark, place, table, token } from "../colours.js";
import { tight } from "../numbers.js";

/**
 * @typedef {import("../answers.js").SheetAnswer} Sheet
 * @typedef {{ numbers: ArrayLike<number>, start: number, rows: number, columns: number, span: number }} Kernel
 * @typedef {{ width: number, height: number }} Size
 *
 * @typedef {object} Form what lies on the canvas
 * @property {number} rows cells of a frame
 * @property {number} columns
 * @property {number} frames of a map, in a block about as high as wide
 * @property {number} count maps
 * @property {boolean} pair whether a kernel stands beside each map
 * @property {boolean} strip whether a map is one row, drawn higher than its cells are wide
 *
 * @typedef {object} Shown
 * @property {Sheet} sheet
 * @property {number} frames maps of the sheet that are one map here
 * @property {number} [first] the map that comes first
 * @property {number} [count] maps, all when missing
 * @property {boolean} picture
 * @property {boolean} shared whether one scale holds for all maps
 * @property {Size} room
 * @property {number} [across] maps in a row; as many as make them largest when missing
 * @property {number} [most] maps in a row at most
 * @property {number} zoom
 * @property {((map: number) => Kernel | null) | null} [kernel] what stands beside a map
 */

const GAP = 8;
const LABEL = 16; // pixels of a map's number above it
const LEAST = 40; // pixels of a map's width, below which the maps are scrolled
const MOST = 56; // pixels of a cell
const TEXT = 32; // pixels of a cell from which its number is written

/** Return how maps lie: the pixels of a cell, frames and maps in a row, the pixels of a map and from one to the next. @param {Form} form @param {Size} room @param {{ across?: number, most?: number, zoom: number }} asked */
export function arranged({ rows, columns, frames, count, pair, strip }, { width, height }, { across, most = 64, zoom }) {
  const beside = Math.max(1, Math.min(frames, Math.round(Math.sqrt((frames * rows) / columns))));
  const [wide, tall, twice] = [columns * beside, rows * Math.ceil(frames / beside), pair ? 2 : 1];
  const fit = (/** @type {number} */ n) => Math.min(MOST, ((width + GAP) / n - GAP - 2 * twice) / (wide * twice));
  const fits = (/** @type {number} */ n) => Math.min(fit(n), strip ? MOST : (height / Math.ceil(count / n) - LABEL - GAP) / tall);
  let cell = across ? fit(across) : 0;
  if (!across) for (let n = 1; n <= Math.min(most, Math.max(1, count)); n++) cell = Math.max(cell, fits(n));
  cell = Math.max(cell, Math.min(LEAST / wide, fit(1))) * 1.25 ** zoom;
  if (cell >= 6) cell = Math.floor(cell);
  const high = strip ? Math.max(14, Math.min(28, cell)) : cell;
  const map = { width: wide * cell, height: tall * high };
  const step = { width: (map.width + 2) * twice - 2 + GAP, height: map.height + LABEL + GAP };
  return { cell, high, beside, map, step, across: Math.max(1, Math.min(count, most, Math.floor((width + GAP + 1) / step.width))) };
}

export class Maps {
  /** @type {Shown | null} */ #shown = null;
  #form = { rows: 1, columns: 1, frames: 1, count: 0, pair: false, strip: false };
  #laid = arranged(this.#form, { width: 1, height: 1 }, { zoom: 0 });
  /** @type {Map<number, HTMLCanvasElement>} */ #lines = new Map();
  /** @type {Map<number, Uint32Array>} */ #colours = new Map();
  #painted = "";
  #chosen = -1;
  #frame = 0;
  #last = "";

  /** @param {string} label @param {{ over: (map: number, cell: number) => void, press: (map: number, cell: number) => void }} does */
  constructor(label, does) {
    this.does = does;
    this.el = document.createElement("div");
    this.el.className = "maps";
    this.el.tabIndex = 0;
    for (const [name, text] of [["role", "application"], ["aria-roledescription", "maps"], ["aria-label", `${label}; arrows move between maps, Enter opens one`]]) this.el.setAttribute(name, text);
    this.all = this.el.appendChild(document.createElement("div"));
    this.canvas = this.all.appendChild(document.createElement("canvas"));
    this.pen = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.el.addEventListener("scroll", () => this.again());
    this.el.addEventListener("pointermove", (event) => event.pointerType === "mouse" && this.#over(event));
    this.el.addEventListener("click", (event) => { const at = this.#at(event); if (at) does.press(...at); });
    this.el.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {Shown} shown */
  show(shown) {
    const { sheet: { rows, columns, maps }, frames, room, picture, sheet, first = 0 } = shown;
    const shared = shown.shared ||= rows * columns * frames === 1; // a single number has no scale of its own
    const other = this.#shown?.sheet !== sheet;
    this.#shown = shown;
    // A long row of numbers without neighbours is folded into several.
    const folded = rows === 1 && maps === 1 && columns > 64 ? 2 ** Math.ceil(Math.log2(Math.sqrt(columns))) : 0;
    this.#form = { rows: folded ? Math.ceil(columns / folded) : rows, columns: folded || columns, frames, count: shown.count ?? maps / frames, pair: Boolean(shown.kernel), strip: rows === 1 && !folded && columns > 1 };
    const laid = this.#laid = arranged(this.#form, { width: room.width - 4, height: room.height }, shown);
    const painted = [isDark(), picture, shared, first, laid.across, this.#every].join();
    if (other || painted !== this.#painted) { this.#lines.clear(); this.#colours.clear(); }
    this.#painted = painted;
    if (other) this.el.scrollTop = 0;
    const total = Math.ceil(this.#form.count / laid.across) * laid.step.height;
    const view = [room.width, Math.min(room.height, total)];
    const put = (/** @type {HTMLElement} */ el, /** @type {number[]} */ [width, height]) => Object.assign(el.style, { width: `${width}px`, height: `${height}px` });
    put(this.el, view);
    put(this.all, [Math.max(view[0], laid.across * laid.step.width - GAP + 4), total]);
    put(this.canvas, view);
    [this.canvas.width, this.canvas.height] = view.map((side) => Math.round(side * (devicePixelRatio || 1)));
    this.#draw();
  }

  /** Frame a map, -1 for none; with `reveal` scroll it into sight. @param {number} map @param {boolean} [reveal] */
  choose(map, reveal = false) {
    this.#chosen = map;
    const { el } = this;
    const [, y] = this.#corner(map);
    const bottom = y + this.#laid.map.height + GAP;
    if (reveal && y - LABEL < el.scrollTop) el.scrollTop = y - LABEL;
    else if (reveal && bottom > el.scrollTop + el.clientHeight) el.scrollTop = bottom - el.clientHeight;
    this.again();
  }

  /** Show other kernels, and where their maps are others, those. @param {Partial<Shown>} other */
  turn(other) {
    const shown = this.#shown;
    if (!shown) return;
    if (shown.first !== other.first || shown.count !== other.count) this.show({ ...shown, ...other });
    else Object.assign(shown, other);
    this.again();
  }

  /** Draw again, before the next frame. */
  again() {
    if (!this.#frame) this.#frame = requestAnimationFrame(() => { this.#frame = 0; this.#draw(); });
  }

  /** How many cells become one pixel; those smaller than a pixel are sampled, because mixed colours stand for no number. */
  get #every() {
    return Math.max(1, Math.floor(1 / (this.#laid.cell * (devicePixelRatio || 1))));
  }

  /** The pixels of a map's first cell. @param {number} map @returns {[number, number]} */
  #corner(map) {
    const at = map - (this.#shown?.first ?? 0);
    return [2 + (at % this.#laid.across) * this.#laid.step.width, Math.floor(at / this.#laid.across) * this.#laid.step.height + LABEL];
  }

  #draw() {
    const { pen, el } = this;
    if (!this.#shown) return;
    const { step, across, map: size } = this.#laid;
    const { first = 0 } = this.#shown;
    const ratio = devicePixelRatio || 1;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.translate(-el.scrollLeft, -el.scrollTop);
    pen.imageSmoothingEnabled = false;
    pen.textBaseline = "middle";
    const family = getComputedStyle(el).fontFamily;
    const from = Math.floor(el.scrollTop / step.height) * across;
    const to = Math.min(this.#form.count, Math.ceil((el.scrollTop + el.clientHeight) / step.height) * across);
    for (let i = from; i < to; i++) this.#map(first + i, family);
    if (this.#chosen < first + from || this.#chosen >= first + to || this.#form.count < 2) return;
    const [x, y] = this.#corner(this.#chosen);
    for (const [width, name] of /** @type {[number, string][]} */ ([[5, "--casing"], [2.5, "--accent"]])) {
      pen.lineWidth = width;
      pen.strokeStyle = token(name);
      pen.strokeRect(x - 0.5, y - 0.5, step.width - GAP + 1, size.height + 1);
    }
  }

  /** @param {number} map @param {string} family of the font */
  #map(map, family) {
    const { pen } = this;
    const { cell, high, beside, across, map: size } = this.#laid;
    const { rows, columns, frames, count } = this.#form;
    const [x, y] = this.#corner(map);
    const [w, h] = [columns * cell, rows * high];
    const at = map - (this.#shown?.first ?? 0);
    const line = Math.floor(at / across);
    const painted = this.#lines.get(line) ?? this.#paint(line);
    const [width, height] = this.#pixels;
    for (let frame = 0; frame < frames; frame++) {
      const [left, top] = [x + (frame % beside) * w, y + Math.floor(frame / beside) * h];
      pen.drawImage(painted, (at % across) * width, frame * height, width, height, left, top, w, h);
      pen.strokeStyle = token("--line");
      pen.lineWidth = 1;
      pen.strokeRect(left - 0.5, top - 0.5, w + 1, h + 1);
      if (cell >= 8) this.#cells(map * frames + frame, left, top, family);
    }
    const kernel = this.#shown?.kernel?.(map);
    pen.font = `12px ${family}`;
    if (kernel) this.#kernel(kernel, x + size.width + 2, y);
    if (count < 2) return;
    pen.textAlign = "left";
    pen.fillStyle = token(map === this.#chosen ? "--ink" : "--soft");
    pen.fillText(this.#table(map * frames)[256] ? `${map} NaN` : String(map), x, y - 8);
  }

  /** Write the numbers of large cells, and cross out what is not finite. @param {number} map of the sheet @param {number} left @param {number} top @param {string} family */
  #cells(map, left, top, family) {
    const { pen, el } = this;
    const { sheet } = /** @type {Shown} */ (this.#shown);
    const { cell, high } = this.#laid;
    const size = sheet.rows * sheet.columns;
    const rgb = this.#table(map);
    pen.font = `${cell >= 40 ? 13 : 11}px ${family}`;
    pen.textAlign = "center";
    if (cell < TEXT && !rgb[256]) return;
    for (let i = 0; i < size; i++) {
      const [x, y] = [left + (i % this.#form.columns) * cell, top + Math.floor(i / this.#form.columns) * high];
      if (y + high < el.scrollTop || y > el.scrollTop + el.clientHeight) continue;
      const code = sheet.codes[map * size + i];
      pen.fillStyle = pen.strokeStyle = ink([rgb[code] & 255, (rgb[code] >> 8) & 255, (rgb[code] >> 16) & 255]);
      if (cell >= TEXT && sheet.exact) pen.fillText(tight(sheet.exact[map * size + i]), x + cell / 2, y + high / 2);
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
    const side = Math.min(this.#laid.map.width / columns, this.#laid.map.height / rows);
    pen.textAlign = "center";
    for (let i = 0; i < rows * columns; i++) {
      const rgb = colour(numbers[start + i], span);
      const [left, top] = [x + (i % columns) * side, y + Math.floor(i / columns) * side];
      const inner = side - (side >= 6 ? 1 : 0);
      pen.fillStyle = css(rgb);
      pen.fillRect(left, top, inner, inner);
      pen.fillStyle = ink(rgb);
      if (side >= TEXT) pen.fillText(tight(numbers[start + i]), left + side / 2, top + side / 2);
    }
  }

  /** The pixels of a painted frame. */
  get #pixels() {
    return [Math.ceil(this.#form.columns / this.#every), Math.ceil(this.#form.rows / this.#every)];
  }

  /** Paint a line of maps, the frames of each one below the other. @param {number} line */
  #paint(line) {
    const { sheet, first = 0 } = /** @type {Shown} */ (this.#shown);
    const { columns, frames, count } = this.#form;
    const every = this.#every;
    const [width, height] = this.#pixels;
    const from = line * this.#laid.across;
    const maps = Math.min(count - from, this.#laid.across);
    const size = sheet.rows * sheet.columns;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [maps * width, frames * height];
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const image = pen.createImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let k = 0; k < maps * frames; k++) {
      const map = (first + from) * frames + k;
      const rgb = this.#table(map);
      const corner = (k % frames) * height * canvas.width + Math.floor(k / frames) * width;
      for (let r = 0; r < height; r++) {
        for (let c = 0, i = r * every * columns; c < width && i < size; c++, i += every) pixels[corner + r * canvas.width + c] = rgb[sheet.codes[map * size + i]];
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
    const { sheet, picture, shared, frames } = /** @type {Shown} */ (this.#shown);
    const begin = shared ? 0 : map - (map % frames); // the frames of a map share a scale
    const low = sheet.low.subarray(begin, shared ? sheet.maps : begin + frames).reduce((a, b) => Math.min(a, b), 0);
    const high = sheet.high.subarray(begin, shared ? sheet.maps : begin + frames).reduce((a, b) => Math.max(a, b), 0);
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
    const { cell, high, beside, across, step, map: size } = this.#laid;
    const { rows, columns, frames, count } = this.#form;
    const box = el.getBoundingClientRect();
    const [x, y] = [clientX - box.left + el.scrollLeft - 2, clientY - box.top + el.scrollTop];
    const [column, line] = [Math.floor(x / step.width), Math.floor(y / step.height)];
    const map = line * across + column;
    const [left, top] = [x - column * step.width, y - line * step.height - LABEL];
    if (!this.#shown || column < 0 || column >= across || map >= count || left > step.width - GAP || top > size.height) return null;
    const [c, r] = [[left / cell, columns * beside], [top / high, size.height / high]].map(([at, most]) => Math.max(0, Math.min(most - 1, Math.floor(at))));
    const frame = Math.min(frames - 1, Math.floor(r / rows) * beside + Math.floor(c / columns));
    const { sheet, first = 0 } = this.#shown;
    const per = sheet.rows * sheet.columns;
    return [first + map, frame * per + Math.min(per - 1, (r % rows) * columns + (c % columns))];
  }

  /** @param {PointerEvent} event */
  #over(event) {
    const at = this.#at(event);
    this.el.classList.toggle("on", at !== null);
    const key = at ? String(this.#form.count > 1 ? at[0] : at) : this.#last;
    if (!at || key === this.#last) return;
    this.#last = key;
    this.does.over(...at);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { count } = this.#form;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.#laid.across, ArrowDown: this.#laid.across, Home: -Infinity, End: Infinity, Enter: 0 }[event.key];
    if (by === undefined || !count || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const first = this.#shown?.first ?? 0;
    const inside = (/** @type {number} */ map) => Math.max(first, Math.min(first + count - 1, map));
    const now = inside(this.#chosen);
    if (!by) return this.does.press(now, -1);
    const next = Number.isFinite(by) && inside(now + by) !== now + by ? now : inside(now + by);
    this.#last = "";
    this.does.over(next, -1);
    this.choose(next, true);
  }
}
