// Thumbnails: maps painted small and kept, from the atlas of all values or from exact numbers of the bench.

import { NOT_FINITE, css, isDark, largest, place, table, token } from "./colours.js";
import { ravel } from "./numbers.js";

/**
 * @typedef {import("./answers.js").AtlasAnswer} AtlasAnswer
 * @typedef {{ rows: number, columns: number, list: number[] }} Sampled numbers of a map, NaN for what is not finite
 * @typedef {{ at: number, rows: number, columns: number, maps: number, low: number, high: number, lively: number[] }} Plane the maps of a value
 */

const FINE = 96, STACK = 6; // pixels along a side of what is painted finer than the atlas; maps of a value in the atlas

export class Thumbs {
  /** @type {AtlasAnswer | null} */ #atlas = null;
  /** @type {ImageBitmap | null} */ #picture = null;
  /** @type {Map<number, Plane>} */ #planes = new Map();
  /** @type {Map<string, { canvas: HTMLCanvasElement, of: string }>} */ #kept = new Map();
  /** @type {Map<string, Sampled>} */ #exact = new Map();
  #version = 0;

  /** @param {import("./net.js").Net} net */
  constructor(net) {
    this.net = net;
  }

  /** Paint from these answers from now on. @param {AtlasAnswer} atlas @param {ImageBitmap | null} picture */
  take(atlas, picture) {
    const { net } = this, { values, rows, columns, maps, low, high, liveliest } = atlas;
    [this.#atlas, this.#picture] = [atlas, picture];
    this.#planes = new Map(Array.from(values, (id, at) => {
      const lively = [...liveliest.subarray(STACK * at, STACK * (at + 1))].filter((map) => map >= 0), size = net.isPicture(id) && net.told.picture;
      return [id, { at, rows: size ? size[0] : rows[at], columns: size ? size[1] : columns[at], maps: maps[at], low: low[at], high: high[at], lively }];
    }));
    this.#exact.clear();
    this.#version++;
  }

  /** Paint a map from its own numbers. @param {number} id @param {number[]} at its leading index @param {ArrayLike<number>} numbers */
  exact(id, at, numbers) {
    const plane = this.plane(id);
    if (!plane || this.net.isPicture(id) || numbers.length !== plane.rows * plane.columns) return;
    const [rows, columns] = [plane.rows, plane.columns].map((size) => Math.min(size, FINE));
    const middle = (/** @type {number} */ i, /** @type {number} */ of, /** @type {number} */ size) => Math.floor(((2 * i + 1) * size) / (2 * of));
    const list = Array.from({ length: rows * columns }, (_, i) => numbers[middle(Math.floor(i / columns), rows, plane.rows) * plane.columns + middle(i % columns, columns, plane.columns)]);
    this.#exact.set(`${id} ${this.map(id, at)}`, { rows, columns, list: list.map((x) => (Number.isFinite(x) ? x : NaN)) });
    this.#version++;
  }

  /** @param {number} id */
  plane(id) {
    return this.#planes.get(id);
  }

  /** The value whose maps stand for one: views show what they look at. @param {number} id */
  shown(id) {
    for (let step; !this.#planes.has(id) && (step = this.net.maker(id)) && step.plumbing && step.x.length;) id = step.x[0];
    return id;
  }

  /** Return which of a value's maps begins with an index. @param {number} id @param {number[]} index */
  map(id, index) {
    const { rows, columns, maps } = this.plane(id) ?? { rows: 1, columns: 1, maps: 1 }, { shape } = this.net.value(id);
    return Math.floor(ravel([...index, ...shape.slice(index.length).map(() => 0)], shape) / Math.max(1, rows * columns)) % Math.max(1, maps);
  }

  /** Whether one of a value's maps can be painted. @param {number} id @param {number} map */
  has(id, map) {
    return (map >= 0 && this.net.isPicture(id)) || this.#exact.has(`${id} ${map}`) || Boolean(this.plane(id)?.lively.includes(map));
  }

  /** Return a map as a canvas, painted once. @param {number} id @param {number} map */
  canvas(id, map) {
    const key = `${id} ${map}`, of = `${this.#version} ${isDark()}`, kept = this.#kept.get(key) ?? { canvas: document.createElement("canvas"), of: "" };
    if (kept.of !== of) this.#paint(kept.canvas, id, map);
    kept.of = of;
    this.#kept.set(key, kept);
    return kept.canvas;
  }

  /** @param {HTMLCanvasElement} canvas @param {number} id @param {number} map */
  #paint(canvas, id, map) {
    const plane = this.plane(id), pen = canvas.getContext("2d"), picture = this.net.isPicture(id) ? this.#picture : null;
    if (!plane || !pen) return;
    if (picture) { // of a clip, one frame
      const frames = this.net.told.frames ?? 1, rows = picture.height / frames, less = Math.min(1, (2 * FINE) / Math.max(picture.width, rows));
      [canvas.width, canvas.height] = [picture.width * less, rows * less].map(Math.round);
      return pen.drawImage(picture, 0, (map % frames) * rows, picture.width, rows, 0, 0, canvas.width, canvas.height);
    }
    const { rows, columns, list } = this.numbers(id, map, plane), span = (this.#exact.has(`${id} ${map}`) ? largest(list) : Math.max(Math.abs(plane.low), Math.abs(plane.high))) || 1;
    if (plane.rows === 1 && plane.columns > 1) return bars(canvas, pen, list, plane);
    if (!list.length || !plane.maps) return void (canvas.width = canvas.height = 1); // what a detector found may be empty
    const pixels = new ImageData(columns, rows), colours = table("signed", isDark());
    list.forEach((x, i) => {
      const at = 3 * place(x, span);
      for (let k = 0; k < 3; k++) pixels.data[4 * i + k] = Number.isNaN(x) ? NOT_FINITE[k] : colours[at + k];
      pixels.data[4 * i + 3] = 255;
    });
    [canvas.width, canvas.height] = [columns, rows];
    pen.putImageData(pixels, 0, 0);
  }

  /** The numbers that a thumbnail shows. @param {number} id @param {number} map @param {Plane} plane @returns {Sampled} */
  numbers(id, map, { at, rows, columns, low, high, lively }) {
    const own = this.#exact.get(`${id} ${map}`), { side, stacks } = /** @type {AtlasAnswer} */ (this.#atlas);
    if (own) return own;
    const first = (STACK * at + Math.max(0, lively.indexOf(map))) * side * side, wide = Math.min(columns, side), down = Math.min(rows, side);
    const codes = Array.from({ length: down * wide }, (_, i) => stacks[first + Math.floor(i / wide) * side + (i % wide)]);
    return { rows: down, columns: wide, list: codes.map((code) => (code ? low + ((code - 1) / 254) * (high - low) : NaN)) };
  }
}

/** A row of numbers as bars about zero. @param {HTMLCanvasElement} canvas @param {CanvasRenderingContext2D} pen @param {number[]} numbers @param {Plane} plane */
function bars(canvas, pen, numbers, { low, high }) {
  const side = (canvas.width = canvas.height = 2 * FINE), top = Math.max(0, high), scale = side / (top - Math.min(0, low) || 1), each = side / numbers.length, gap = each > 8 ? each / 6 : 0;
  numbers.forEach((x, i) => {
    const odd = Number.isNaN(x), size = odd ? side : Math.abs(x) * scale;
    pen.fillStyle = odd ? css(NOT_FINITE) : token(x < 0 ? "--negative" : "--positive");
    pen.fillRect(i * each + gap, odd ? 0 : Math.min(side - 2, x < 0 ? top * scale : top * scale - size), each - 2 * gap, Math.max(2, size));
  });
}
