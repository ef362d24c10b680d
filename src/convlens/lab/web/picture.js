// The input, where every walk ends, with the part lit that a number depends on.

import { arranged, arrayed, drawSignal, pictured } from "./frames.js";

/**
 * @typedef {import("./answers.js").Lit} Lit
 * @typedef {import("./answers.js").SheetAnswer} Sheet
 * @typedef {import("./frames.js").Frames} Frames
 * @typedef {{ width: number, height: number }} Size
 */

/** Return whether a position is lit, as a function of the position. @param {Lit} lit @returns {(at: number[]) => boolean} */
export function reader(lit) {
  const sizes = lit.box.map(([low, high]) => high - low);
  return (at) => {
    let flat = 0;
    for (let axis = 0; axis < at.length; axis++) {
      const [low, high] = lit.box[axis];
      if (at[axis] < low || at[axis] >= high) return false;
      flat = flat * sizes[axis] + at[axis] - low;
    }
    return Boolean(lit.bits[flat >> 3] & (128 >> (flat & 7)));
  };
}

export class Picture {
  /** @type {ImageBitmap | null} */ #bitmap = null;
  /** @type {Sheet | null} */ #sheet = null;
  /** @type {Frames | null} */ #frames = null;
  /** @type {Lit | null} */ #lit = null;

  /** @param {HTMLElement} el @param {import("./overlay.js").Overlay} overlay */
  constructor(el, overlay) {
    this.overlay = overlay;
    overlay.changed = () => this.draw();
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.caption = document.createElement("p");
    this.caption.className = "caption";
    const stack = document.createElement("div");
    stack.className = "stack";
    stack.append(this.canvas, overlay.svg);
    this.box = document.createElement("div");
    this.box.className = "frame";
    this.box.append(stack);
    el.replaceChildren(this.box, this.caption);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.box);
  }

  end() {
    this.resized.disconnect();
  }

  /**
   * @param {ImageBitmap | null} bitmap the frames of a picture or clip, one below the other
   * @param {number} count how many
   * @param {Sheet | null} sheet the input's maps, where it is no picture
   */
  open(bitmap, count, sheet) {
    [this.#bitmap, this.#sheet, this.#lit] = [bitmap, sheet, null];
    this.#frames = bitmap ? pictured(bitmap, count) : sheet?.plane === 2 ? arrayed(sheet) : null;
    this.draw();
  }

  /** @param {Lit | null} lit */
  light(lit) {
    this.#lit = lit;
    this.draw();
  }

  /**
   * Return red, green and blue of the picture, 0 to 255, if the input has its rows and columns.
   * @param {number[]} index of the input
   * @param {number[]} shape
   * @returns {number[] | null}
   */
  pixel(index, shape) {
    const [bitmap, frames] = [this.#bitmap, this.#frames];
    if (!bitmap || !frames || index.length < 2) return null;
    if (frames.rows !== shape.at(-2) || frames.columns !== shape.at(-1)) return null;
    const frame = frames.count > 1 ? index[index.length - 3] : 0;
    const [row, column] = index.slice(-2);
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
    context.drawImage(bitmap, column, frame * frames.rows + row, 1, 1, 0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  }

  draw() {
    const room = { width: this.box.clientWidth, height: this.box.clientHeight };
    if (!room.width || (!this.#frames && !this.#sheet)) return;
    const ratio = devicePixelRatio || 1;
    const size = this.#sized(room);
    this.canvas.width = Math.round(size.width * ratio);
    this.canvas.height = Math.round(size.height * ratio);
    this.canvas.style.width = `${size.width}px`;
    this.canvas.style.height = `${size.height}px`;
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (this.#frames) this.#paint(context, this.#frames, size);
    else if (this.#sheet) drawSignal(context, this.#sheet, size, this.#lit?.box.length === 1 ? reader(this.#lit) : null);
    this.overlay.draw(size);
    const words = this.#words();
    this.caption.textContent = words;
    this.canvas.setAttribute("aria-label", words);
  }

  /** Return the size to draw at, and how many frames stand side by side. @param {Size} room @returns {Size & { across: number }} */
  #sized(room) {
    const frames = this.#frames;
    if (!frames) return { width: room.width, height: Math.min(room.height, 150), across: 1 };
    if (frames.count > 1) return arranged(frames, room);
    return { ...fitted(frames.columns, frames.rows, room), across: 1 };
  }

  #words() {
    const lit = this.#lit;
    if (!lit) {
      if (!this.#bitmap) return "The input";
      const count = this.#frames?.count ?? 1;
      return count > 1 ? `The ${count} frames as the network sees them` : "The picture as the network sees it";
    }
    if (!lit.count) return "It depends on nothing of the input";
    const names = { 1: ["positions"], 2: ["rows", "columns"], 3: ["frames", "rows", "columns"] }[lit.box.length] ?? [];
    const ends = lit.box.map(([low, high], i) =>
      high - low === 1 ? `${(names[i] ?? "").replace(/s$/, "")} ${low}` : `${names[i] ?? ""} ${low}–${high - 1}`);
    const all = lit.space.reduce((a, b) => a * b, 1);
    const unit = lit.space.length === 2 ? "pixel" : "position";
    const most = lit.count === all ? `all ${all}` : `${lit.count} of ${all}`;
    return `It depends on ${most} ${unit}${all === 1 ? "" : "s"}: ${ends.join(", ")}`;
  }

  /** @param {CanvasRenderingContext2D} context @param {Frames} frames @param {Size & { across: number }} size */
  #paint(context, frames, size) {
    const { count, columns } = frames;
    const { across } = size;
    const lines = Math.ceil(count / across);
    const gap = count === 1 ? 0 : 1;
    const [width, height] = [size.width / across, size.height / lines];
    const axes = this.#lit?.space.length;
    for (let frame = 0; frame < count; frame++) {
      const [x, y] = [(frame % across) * width, Math.floor(frame / across) * height];
      context.imageSmoothingEnabled = frames.photo && width < 2 * columns;
      frames.draw(context, frame, x, y, width - gap, height - gap);
      if (count === 1) this.overlay.paint(context, size);
      if (axes === 2 || axes === 3) this.#shade(context, x, y, width - gap, height - gap, axes === 3 ? [frame] : []);
    }
  }

  /** Dim what is not lit, and draw a box around the rest. @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} width @param {number} height @param {number[]} ahead the frame, where there are frames */
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
    context.strokeStyle = getComputedStyle(this.canvas).getPropertyValue("--mark");
    context.strokeRect(line.x - grow - 0.5, line.y - grow - 0.5, line.w + 2 * grow + 1, line.h + 2 * grow + 1);
  }
}

/** @param {number} width @param {number} height @param {Size} room */
function fitted(width, height, room) {
  let scale = Math.min(room.width / width, room.height / height);
  if (scale > 2) scale = Math.floor(scale); // whole pixels stay square and sharp
  return { width: Math.max(1, width * scale), height: Math.max(1, height * scale) };
}
