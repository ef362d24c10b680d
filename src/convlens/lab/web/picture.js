// The input at the bottom of every walk, with what a number depends on lit.

import { css, isDark, table } from "./colours.js";

/**
 * @typedef {import("./painting.js").Sheet} Sheet
 * @typedef {object} Lit the part of the input a number depends on
 * @property {number[]} space sizes of the input's space axes
 * @property {[number, number][]} box first and one past the last position on each
 * @property {number} count
 * @property {string} mask the box's positions, a bit each, base64
 */

/** @param {Lit} lit @returns {(at: number[]) => boolean} whether a position is lit */
export function reader(lit) {
  const bytes = Uint8Array.from(atob(lit.mask), (c) => c.charCodeAt(0));
  const sizes = lit.box.map(([low, high]) => high - low);
  return (at) => {
    let flat = 0;
    for (let axis = 0; axis < at.length; axis++) {
      const [low, high] = lit.box[axis];
      if (at[axis] < low || at[axis] >= high) return false;
      flat = flat * sizes[axis] + at[axis] - low;
    }
    return Boolean(bytes[flat >> 3] & (128 >> (flat & 7)));
  };
}

export class Picture {
  /** @type {ImageBitmap | null} */ #bitmap = null;
  /** @type {Sheet | null} */ #sheet = null;
  /** @type {Lit | null} */ #lit = null;

  /** @param {HTMLElement} el */
  constructor(el) {
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.caption = document.createElement("p");
    this.caption.className = "caption";
    this.box = document.createElement("div");
    this.box.className = "frame";
    this.box.append(this.canvas);
    el.replaceChildren(this.box, this.caption);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.box);
  }

  end() {
    this.resized.disconnect();
  }

  /** @param {ImageBitmap | null} bitmap @param {Sheet | null} sheet the input's maps, where it is no picture */
  open(bitmap, sheet) {
    [this.#bitmap, this.#sheet, this.#lit] = [bitmap, sheet, null];
    this.draw();
  }

  /** @param {Lit | null} lit */
  light(lit) {
    this.#lit = lit;
    this.draw();
  }

  /**
   * Red, green and blue of the picture, 0 to 255, where the input has its rows and columns.
   * @param {number} row
   * @param {number} column
   * @param {number[]} shape
   * @returns {number[] | null}
   */
  pixel(row, column, shape) {
    const bitmap = this.#bitmap;
    if (!bitmap || bitmap.height !== shape.at(-2) || bitmap.width !== shape.at(-1)) return null;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
    context.drawImage(bitmap, column, row, 1, 1, 0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  }

  draw() {
    const room = { width: this.box.clientWidth, height: this.box.clientHeight };
    if (!room.width || (!this.#bitmap && !this.#sheet)) return;
    const ratio = devicePixelRatio || 1;
    const size = this.#bitmap
      ? fitted(this.#bitmap.width, this.#bitmap.height, room)
      : this.#arranged(room);
    this.canvas.width = Math.round(size.width * ratio);
    this.canvas.height = Math.round(size.height * ratio);
    this.canvas.style.width = `${size.width}px`;
    this.canvas.style.height = `${size.height}px`;
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (this.#bitmap) this.#photo(context, size);
    else if (this.#sheet?.plane === 2) this.#frames(context, size);
    else this.#signal(context, size);
    const words = this.#words();
    this.caption.textContent = words;
    this.canvas.setAttribute("aria-label", words);
  }

  #words() {
    const lit = this.#lit;
    if (!lit) return this.#bitmap ? "The picture as the network sees it" : "The input";
    if (!lit.count) return "It depends on nothing of the input";
    const names = { 1: ["positions"], 2: ["rows", "columns"], 3: ["frames", "rows", "columns"] }[lit.box.length] ?? [];
    const ends = lit.box.map(([low, high], i) =>
      high - low === 1 ? `${(names[i] ?? "").replace(/s$/, "")} ${low}` : `${names[i] ?? ""} ${low}–${high - 1}`);
    const all = lit.space.reduce((a, b) => a * b, 1);
    const unit = lit.space.length === 2 ? "pixel" : "position";
    const most = lit.count === all ? `all ${all}` : `${lit.count} of ${all}`;
    return `It depends on ${most} ${unit}${all === 1 ? "" : "s"}: ${ends.join(", ")}`;
  }

  // A picture

  /** @param {CanvasRenderingContext2D} context @param {{ width: number, height: number }} size */
  #photo(context, size) {
    const bitmap = /** @type {ImageBitmap} */ (this.#bitmap);
    context.imageSmoothingEnabled = size.width < 2 * bitmap.width;
    context.drawImage(bitmap, 0, 0, size.width, size.height);
    if (this.#lit?.space.length === 2) this.#shade(context, 0, 0, size.width, size.height, []);
  }

  /** Dims what is not lit, and draws the box around what is. @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} width @param {number} height @param {number[]} ahead the frame, where there are frames */
  #shade(context, x, y, width, height, ahead) {
    const lit = /** @type {Lit} */ (this.#lit);
    const [rows, columns] = lit.space.slice(-2);
    const is = reader(lit);
    const mask = document.createElement("canvas");
    mask.width = columns;
    mask.height = rows;
    const own = /** @type {CanvasRenderingContext2D} */ (mask.getContext("2d"));
    const image = own.createImageData(columns, rows);
    let any = false;
    for (let r = 0, i = 3; r < rows; r++) {
      for (let c = 0; c < columns; c++, i += 4) {
        const on = is([...ahead, r, c]);
        any ||= on;
        image.data[i] = on ? 0 : 178;
      }
    }
    own.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(mask, x, y, width, height);
    if (!any) return;
    const [[top, bottom], [left, right]] = lit.box.slice(-2);
    const line = { x: x + (left * width) / columns, y: y + (top * height) / rows,
      w: ((right - left) * width) / columns, h: ((bottom - top) * height) / rows };
    const grow = Math.max(0, (8 - Math.min(line.w, line.h)) / 2); // a single pixel is still to be seen
    context.lineWidth = 2;
    context.strokeStyle = mark(this.canvas);
    context.strokeRect(line.x - grow - 0.5, line.y - grow - 0.5, line.w + 2 * grow + 1, line.h + 2 * grow + 1);
  }

  // A volume or a clip: its frames side by side

  /** @param {{ width: number, height: number }} room */
  #arranged(room) {
    const sheet = /** @type {Sheet} */ (this.#sheet);
    if (sheet.plane < 2) return { width: room.width, height: Math.min(room.height, 150) };
    const frames = this.#count();
    let best = { width: 0, height: 0, across: 1, cell: 0 };
    for (let across = 1; across <= frames; across++) {
      const cell = Math.min(room.width / (across * sheet.columns), room.height / (Math.ceil(frames / across) * sheet.rows));
      if (cell > best.cell) best = { across, cell, width: cell * across * sheet.columns, height: cell * Math.ceil(frames / across) * sheet.rows };
    }
    this.across = best.across;
    return best;
  }

  /** How many frames there are: the size of the last axis before the plane, channels aside. */
  #count() {
    const sheet = /** @type {Sheet} */ (this.#sheet);
    const axis = sheet.axes.indexOf("frame");
    return axis < 0 ? 1 : sheet.shape[axis];
  }

  /** @param {CanvasRenderingContext2D} context @param {{ width: number, height: number }} size */
  #frames(context, size) {
    const sheet = /** @type {Sheet} */ (this.#sheet);
    const frames = this.#count();
    const channels = Math.max(1, Math.round(sheet.maps / frames));
    const across = this.across ?? 1;
    const [width, height] = [size.width / across, size.height / Math.ceil(frames / across)];
    const low = Math.min(...sheet.low);
    const high = Math.max(...sheet.high);
    const pixels = sheet.rows * sheet.columns;
    const picture = document.createElement("canvas");
    picture.width = sheet.columns;
    picture.height = sheet.rows;
    const own = /** @type {CanvasRenderingContext2D} */ (picture.getContext("2d"));
    for (let frame = 0; frame < frames; frame++) {
      const image = own.createImageData(sheet.columns, sheet.rows);
      for (let i = 0; i < pixels; i++) {
        for (let c = 0; c < 3; c++) {
          const map = (channels === 3 ? c : 0) * frames + frame;
          const x = sheet.low[map] + ((sheet.codes[map * pixels + i] - 1) / 254) * (sheet.high[map] - sheet.low[map]);
          image.data[4 * i + c] = high > low ? (255 * (x - low)) / (high - low) : 128;
        }
        image.data[4 * i + 3] = 255;
      }
      own.putImageData(image, 0, 0);
      const [x, y] = [(frame % across) * width, Math.floor(frame / across) * height];
      context.imageSmoothingEnabled = false;
      context.drawImage(picture, x, y, width - 1, height - 1);
      const axes = this.#lit?.space.length;
      if (axes === 2 || axes === 3) this.#shade(context, x, y, width - 1, height - 1, axes === 3 ? [frame] : []);
    }
  }

  // A signal: its channels as lines

  /** @param {CanvasRenderingContext2D} context @param {{ width: number, height: number }} size */
  #signal(context, size) {
    const sheet = /** @type {Sheet} */ (this.#sheet);
    const style = getComputedStyle(this.canvas);
    const step = size.width / sheet.columns;
    context.clearRect(0, 0, size.width, size.height);
    if (this.#lit?.box.length === 1) {
      const is = reader(this.#lit);
      context.fillStyle = style.getPropertyValue("--lit");
      for (let i = 0, from = 0; i <= sheet.columns; i++) {
        if (i < sheet.columns && is([i])) continue;
        if (i > from) context.fillRect(from * step, 0, (i - from) * step, size.height);
        from = i + 1;
      }
    }
    const low = Math.min(0, ...sheet.low);
    const high = Math.max(0, ...sheet.high);
    const y = (/** @type {number} */ x) => 4 + (size.height - 8) * (1 - (x - low) / (high - low || 1));
    context.strokeStyle = style.getPropertyValue("--line");
    context.strokeRect(0, y(0), size.width, 0.001);
    const colours = table("activation", isDark());
    for (let map = 0; map < Math.min(sheet.maps, 12); map++) {
      const at = 3 * (sheet.maps === 1 ? 460 : 40 + Math.round((430 * map) / (Math.min(sheet.maps, 12) - 1)));
      context.strokeStyle = css([colours[at], colours[at + 1], colours[at + 2]]);
      context.lineWidth = 1.25;
      context.beginPath();
      for (let i = 0; i < sheet.columns; i++) {
        const code = sheet.codes[map * sheet.columns + i];
        const x = sheet.low[map] + ((code - 1) / 254) * (sheet.high[map] - sheet.low[map]);
        context.lineTo((i + 0.5) * step, y(x));
      }
      context.stroke();
    }
  }
}

/** @param {number} width @param {number} height @param {{ width: number, height: number }} room */
function fitted(width, height, room) {
  let scale = Math.min(room.width / width, room.height / height);
  if (scale > 2) scale = Math.floor(scale); // whole pixels stay square and sharp
  return { width: Math.max(1, width * scale), height: Math.max(1, height * scale) };
}

/** @param {Element} el */
function mark(el) {
  return getComputedStyle(el).getPropertyValue("--mark");
}
