// Many maps on one canvas: each painted once, as it comes into sight; pointed at, scrolled, walked by keys.

import { colour, css, ink, isDark, token } from "../colours.js";
import { tight } from "../numbers.js";

const GAP = 8;
const LABEL = 16; // pixels of a map's number above it
const LEAST = 40; // pixels of a map's width, below which the maps are scrolled
const MOST = 56; // pixels of a cell
const TEXT = 32; // pixels of a cell from which its number is written

/** Return how maps lie: cells and their pixels, frames and maps in a row, the pixels of a map and from one to the next. @param {MapsShown} shown */
export function arranged({ sheet, frames, first = 0, count = sheet.maps / frames, room, across, most = 64, zoom, kernel }) {
  // A long row of numbers without neighbours is folded into several.
  const fold = sheet.rows === 1 && sheet.maps === 1 && sheet.columns > 64 ? 2 ** Math.ceil(Math.log2(Math.sqrt(sheet.columns))) : 0;
  const rows = fold ? Math.ceil(sheet.columns / fold) : sheet.rows, columns = fold || sheet.columns, strip = rows === 1 && columns > 1, twice = kernel ? 2 : 1;
  const beside = Math.max(1, Math.min(frames, Math.round(Math.sqrt((frames * rows) / columns)))), wide = columns * beside, tall = rows * Math.ceil(frames / beside);
  const fit = (/** @type {number} */ n) => Math.min(MOST, ((room.width + 4) / n - GAP - 2 * twice) / (wide * twice));
  const fits = (/** @type {number} */ n) => Math.min(fit(n), strip ? MOST : (room.height / Math.ceil(count / n) - LABEL - GAP) / tall);
  const tried = Array.from({ length: Math.min(most, Math.max(1, count)) }, (_, i) => fits(i + 1));
  let cell = Math.max(across ? fit(across) : Math.max(0, ...tried), Math.min(LEAST / wide, fit(1))) * 1.25 ** zoom;
  if (cell >= 6) cell = Math.floor(cell);
  const high = strip ? Math.max(14, Math.min(28, cell)) : cell, width = wide * cell, height = tall * high, step = [(width + 2) * twice - 2 + GAP, height + LABEL + GAP];
  // Cells smaller than a pixel are sampled, because mixed colours stand for no number.
  const every = Math.max(1, Math.floor(1 / (cell * (globalThis.devicePixelRatio || 1))));
  return { rows, columns, size: sheet.rows * sheet.columns, frames, first, count, cell, high, beside, width, height, step, every, across: Math.max(1, Math.min(count, most, Math.floor((room.width + 5) / step[0]))) };
}

export class Maps {
  /** @type {MapsShown} */ #shown = { sheet: { rows: 1, columns: 1, maps: 0, low: new Float32Array(), high: new Float32Array(), codes: new Uint8Array(), largest: 0, exact: null }, frames: 1, picture: false, shared: false, room: { width: 1, height: 1 }, zoom: 0 };
  #laid = arranged(this.#shown);
  /** Maps as they are painted. @type {Map<number, HTMLCanvasElement>} */ #painted = new Map();
  /** The colours of a map's codes, and whether one is not finite. @type {Map<number, { rgb: [number, number, number][], odd: boolean }>} */ #tables = new Map();
  #key = "";
  #chosen = -1;
  #frame = 0;
  #last = "";

  /** @param {string} label @param {(map: number, cell: number) => void} over @param {(map: number, cell: number) => void} press */
  constructor(label, over, press) {
    this.over = over;
    this.press = press;
    const el = this.el = document.createElement("div");
    Object.entries({ class: "maps", tabindex: "0", role: "application", "aria-roledescription": "maps", "aria-label": `${label}; arrows move between maps, Enter opens one` }).forEach((each) => el.setAttribute(...each));
    this.all = el.appendChild(document.createElement("div"));
    this.canvas = this.all.appendChild(document.createElement("canvas"));
    this.pen = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    el.addEventListener("scroll", () => this.again());
    el.addEventListener("pointermove", (event) => event.pointerType === "mouse" && this.#over(event));
    el.addEventListener("click", (event) => { const at = this.#at(event); if (at) press(...at); });
    el.addEventListener("keydown", (event) => this.#walk(event));
  }

  /** @param {MapsShown} shown */
  show(shown) {
    const { sheet, frames, room } = shown, other = this.#shown.sheet !== sheet;
    shown.shared ||= sheet.rows * sheet.columns * frames === 1; // a single number has no scale of its own
    this.#shown = shown;
    const { count, across, every, cell, step } = this.#laid = arranged(shown), key = [isDark(), shown.picture, shown.shared, every].join();
    if (other || key !== this.#key) for (const made of [this.#painted, this.#tables]) made.clear();
    this.#key = key;
    if (other) this.el.scrollTop = 0;
    const total = Math.ceil(count / across) * step[1], view = [room.width, Math.min(room.height, total)];
    const put = (/** @type {HTMLElement} */ { style }, /** @type {number[]} */ [width, height]) => Object.assign(style, { width: `${width}px`, height: `${height}px` });
    put(this.el, view);
    put(this.all, [Math.max(view[0], across * step[0] - GAP + 4), total]);
    put(this.canvas, view);
    [this.canvas.width, this.canvas.height] = view.map((side) => Math.round(side * (devicePixelRatio || 1)));
    Object.assign(this.el.dataset, { across, cell });
    this.#draw();
  }

  /** Show other kernels, and where they lie on other maps, those. @param {Pick<MapsShown, "kernel" | "first" | "count">} other */
  turn(other) {
    const { first, count } = this.#shown;
    Object.assign(this.#shown, { first: undefined, count: undefined, ...other });
    if (first !== other.first || count !== other.count) this.show(this.#shown);
    else this.again();
  }

  /** Frame a map, -1 for none; with `reveal` scroll it into sight. @param {number} map @param {boolean} [reveal] */
  choose(map, reveal = false) {
    const { el } = this, [, y] = this.#corner(map), bottom = y + this.#laid.height + GAP;
    this.#chosen = map;
    if (reveal) el.scrollTop = Math.max(Math.min(el.scrollTop, y - LABEL), bottom - el.clientHeight);
    this.again();
  }

  /** Draw again, before the next frame. */
  again() {
    this.#frame ||= requestAnimationFrame(() => { this.#frame = 0; this.#draw(); });
  }

  /** The pixels of a map's first cell. @param {number} map */
  #corner(map) {
    const { first, across, step } = this.#laid;
    return [2 + ((map - first) % across) * step[0], Math.floor((map - first) / across) * step[1] + LABEL];
  }

  #draw() {
    const { pen, el } = this, { step, across, first, count, height } = this.#laid, ratio = devicePixelRatio || 1;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.translate(-el.scrollLeft, -el.scrollTop);
    pen.imageSmoothingEnabled = false;
    pen.textBaseline = "middle";
    const from = first + Math.floor(el.scrollTop / step[1]) * across, to = first + Math.min(count, Math.ceil((el.scrollTop + el.clientHeight) / step[1]) * across), { fontFamily } = getComputedStyle(el);
    for (let map = from; map < to; map++) this.#map(map, fontFamily);
    const most = Math.max(256, 2 * (to - from) * this.#shown.frames);
    for (const kept of [this.#painted, this.#tables]) for (const map of kept.keys()) if (kept.size > most) kept.delete(map); // the first painted
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
    const { pen } = this, { cell, high, beside, rows, columns, frames, count, width } = this.#laid, [x, y] = this.#corner(map), w = columns * cell, h = rows * high;
    if (!this.#painted.has(map)) this.#painted.set(map, this.#paint(map));
    const painted = /** @type {HTMLCanvasElement} */ (this.#painted.get(map));
    const wide = painted.width / beside, tall = painted.height / Math.ceil(frames / beside);
    for (let frame = 0; frame < frames; frame++) {
      const column = frame % beside, row = Math.floor(frame / beside), left = x + column * w, top = y + row * h;
      pen.drawImage(painted, column * wide, row * tall, wide, tall, left, top, w, h);
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
    pen.fillText(this.#table(map * frames).odd ? `${map} NaN` : String(map), x, y - 8);
  }

  /** Write the numbers of large cells, and cross out what is not finite. @param {number} map of the sheet @param {number} left @param {number} top @param {string} family */
  #cells(map, left, top, family) {
    const { pen, el } = this, { codes, exact } = this.#shown.sheet, { cell, high, columns, size } = this.#laid, { rgb, odd } = this.#table(map), written = cell >= TEXT && exact;
    if (!written && (cell < 8 || !odd)) return;
    pen.font = `${cell >= 40 ? 13 : 11}px ${family}`;
    pen.textAlign = "center";
    for (let i = 0, at = map * size; i < size; i++, at++) {
      const x = left + (i % columns) * cell, y = top + Math.floor(i / columns) * high;
      if (y + high < el.scrollTop || y > el.scrollTop + el.clientHeight) continue;
      pen.fillStyle = pen.strokeStyle = ink(rgb[codes[at]]);
      if (written) pen.fillText(tight(written[at]), x + cell / 2, y + high / 2);
      else if (!codes[at]) {
        pen.beginPath();
        pen.moveTo(x + 2, y + 2); pen.lineTo(x + cell - 2, y + high - 2); pen.moveTo(x + cell - 2, y + 2); pen.lineTo(x + 2, y + high - 2);
        pen.stroke();
      }
    }
  }

  /** Draw a kernel, as large as the map beside it. @param {Kernel} kernel @param {number} x @param {number} y */
  #kernel({ numbers, start, rows, columns, span, exact }, x, y) {
    const { pen } = this, side = Math.min(this.#laid.width / columns, this.#laid.height / rows), inner = side >= 6 ? side - 1 : side;
    pen.textAlign = "center";
    for (let i = 0; i < rows * columns; i++) {
      const rgb = colour(numbers[start + i], span), left = x + (i % columns) * side, top = y + Math.floor(i / columns) * side;
      pen.fillStyle = css(rgb);
      pen.fillRect(left, top, inner, inner);
      pen.fillStyle = ink(rgb);
      if (exact && side >= TEXT) pen.fillText(tight(numbers[start + i]), left + side / 2, top + side / 2);
    }
  }

  /** Paint a map, its frames in a block. @param {number} map */
  #paint(map) {
    const { rows, columns, size, frames, beside, every } = this.#laid, [width, height] = [columns, rows].map((side) => Math.ceil(side / every));
    const canvas = document.createElement("canvas"), wide = canvas.width = beside * width;
    canvas.height = Math.ceil(frames / beside) * height;
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")), image = pen.createImageData(wide, canvas.height), pixels = new Uint32Array(image.data.buffer);
    for (let frame = 0; frame < frames; frame++) {
      const each = map * frames + frame, codes = this.#shown.sheet.codes.subarray(each * size, (each + 1) * size), corner = Math.floor(frame / beside) * height * wide + (frame % beside) * width;
      const shades = this.#table(each).rgb.map(([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r);
      for (let y = 0; y < height; y++) for (let x = 0, i = y * every * columns; x < width && i < size; x++, i += every) pixels[corner + y * wide + x] = shades[codes[i]];
    }
    pen.putImageData(image, 0, 0);
    return canvas;
  }

  /** Return the colours of a map's 256 codes, and whether a number is not finite. @param {number} map of the sheet */
  #table(map) {
    const known = this.#tables.get(map);
    if (known) return known;
    const { sheet, sheet: { low, high, codes }, picture, shared, frames } = this.#shown, { size } = this.#laid, dark = isDark(), step = (high[map] - low[map]) / 254;
    const ends = shared ? [0, sheet.maps] : [map - (map % frames), map - (map % frames) + frames]; // the frames of a map share a scale
    const least = low.subarray(...ends).reduce((a, b) => Math.min(a, b), 0), most = high.subarray(...ends).reduce((a, b) => Math.max(a, b), 0), span = shared ? sheet.largest : Math.max(-least, most);
    const rgb = Array.from({ length: 256 }, (_, code) => {
      const x = code ? low[map] + (code - 1) * step : NaN;
      return picture ? colour(x - least, most - least, "picture", dark) : colour(x, span, "signed", dark);
    });
    const made = { rgb, odd: codes.subarray(map * size, (map + 1) * size).includes(0) };
    this.#tables.set(map, made);
    return made;
  }

  // Pointer and keys

  /** Return the map and its cell under the pointer, null between maps. @param {MouseEvent} event @returns {[number, number] | null} */
  #at({ clientX, clientY }) {
    const { el } = this, { cell, high, beside, across, step, width, height, rows, columns, frames, first, count, size } = this.#laid, box = el.getBoundingClientRect();
    const x = clientX - box.left + el.scrollLeft - 2, y = clientY - box.top + el.scrollTop, column = Math.floor(x / step[0]), line = Math.floor(y / step[1]), at = line * across + column;
    const left = x - column * step[0], top = y - line * step[1] - LABEL;
    if (column < 0 || column >= across || at >= count || left > step[0] - GAP || top > height) return null;
    const c = inside(Math.floor(left / cell), 0, Math.round(width / cell) - 1), r = inside(Math.floor(top / high), 0, Math.round(height / high) - 1);
    const frame = Math.min(frames - 1, Math.floor(r / rows) * beside + Math.floor(c / columns));
    return [first + at, frame * size + Math.min(size - 1, (r % rows) * columns + (c % columns))];
  }

  /** @param {PointerEvent} event */
  #over(event) {
    const at = this.#at(event), key = at ? String(this.#laid.count > 1 ? at[0] : at) : this.#last;
    this.el.classList.toggle("on", at !== null);
    if (!at || key === this.#last) return;
    this.#last = key;
    this.over(...at);
  }

  /** @param {KeyboardEvent} event */
  #walk(event) {
    const { first, count, across } = this.#laid, last = first + count - 1, now = inside(this.#chosen, first, last);
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across, Home: -Infinity, End: Infinity, Enter: 0 }[event.key];
    if (by === undefined || !count || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (!by) return this.press(now, -1);
    const to = inside(now + by, first, last), next = Number.isFinite(by) && to !== now + by ? now : to;
    this.#last = "";
    this.over(next, -1);
    this.choose(next, true);
  }
}

/** The nearest number from low to high. @param {number} x @param {number} low @param {number} high */
const inside = (x, low, high) => Math.max(low, Math.min(high, x));
