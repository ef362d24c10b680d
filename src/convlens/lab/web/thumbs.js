// Thumbnails: maps painted small and kept, from the atlas of all values or from exact numbers of the bench.

import { NOT_FINITE, colour, css, isDark, token } from "./colours.js";
import { ravel } from "./numbers.js";

/**
 * @typedef {import("./answers.js").AtlasAnswer} AtlasAnswer
 * @typedef {import("./net.js").Net} Net
 * @typedef {{ rows: number, columns: number, maps: number, low: number, high: number, lively: number[] }} Plane the maps of a value
 */

const FINE = 96; // the pixels along a side of what is painted larger than the atlas

export class Thumbs {
  /** @type {AtlasAnswer | null} */ #atlas = null;
  /** @type {Map<number, number>} */ #places = new Map();
  /** @type {Map<string, { canvas: HTMLCanvasElement, of: string }>} */ #kept = new Map();
  /** @type {Map<string, Float32Array | Float64Array>} */ #exact = new Map();
  /** @type {ImageBitmap | null} */ #picture = null;
  #version = 0;

  /** @param {Net} net */
  constructor(net) {
    this.net = net;
  }

  /** Paint from these answers from now on. @param {AtlasAnswer} atlas @param {ImageBitmap | null} picture */
  take(atlas, picture) {
    [this.#atlas, this.#picture] = [atlas, picture];
    this.#places = new Map(Array.from(atlas.values, (id, at) => [id, at]));
    this.#exact.clear();
    this.#version++;
  }

  /** Paint one map from its own numbers. @param {number} id @param {number[]} at its leading index @param {Float32Array | Float64Array} numbers */
  exact(id, at, numbers) {
    const plane = this.plane(id), { shape } = this.net.value(id);
    if (!plane || this.net.isPicture(id) || numbers.length !== plane.rows * plane.columns) return;
    this.#exact.set(`${id} ${this.map(id, [...at, ...shape.slice(at.length).map(() => 0)])}`, numbers.slice());
    this.#version++;
  }

  /** @param {number} id @returns {Plane | null} */
  plane(id) {
    const at = this.#places.get(id), atlas = this.#atlas;
    if (at === undefined || !atlas) return null;
    const lively = [...atlas.liveliest.subarray(6 * at, 6 * at + 6)].filter((map) => map >= 0);
    const size = this.net.isPicture(id) && this.net.told.picture;
    const [rows, columns] = size || [atlas.rows[at], atlas.columns[at]];
    return { rows, columns, maps: atlas.maps[at], low: atlas.low[at], high: atlas.high[at], lively };
  }

  /** The value that stands for one on a card: views show what they look at. @param {number} id */
  shown(id) {
    for (let step; !this.#places.has(id) && (step = this.net.maker(id)) && step.plumbing && step.x.length;) id = step.x[0];
    return id;
  }

  /** Return which of a value's maps a number lies in. @param {number} id @param {number[]} index */
  map(id, index) {
    const { rows, columns, maps } = this.plane(id) ?? { rows: 1, columns: 1, maps: 1 };
    return Math.floor(ravel(index, this.net.value(id).shape) / Math.max(1, rows * columns)) % Math.max(1, maps);
  }

  /** Whether one of a value's maps can be painted. @param {number} id @param {number} map */
  has(id, map) {
    return this.net.isPicture(id) || this.#exact.has(`${id} ${map}`) || Boolean(this.plane(id)?.lively.includes(map));
  }

  /** Return a map as a canvas, painted once. @param {number} id @param {number} map @returns {HTMLCanvasElement} */
  canvas(id, map) {
    const key = `${id} ${map}`, of = `${this.#version} ${isDark()}`;
    const kept = this.#kept.get(key) ?? { canvas: document.createElement("canvas"), of: "" };
    if (kept.of !== of) {
      kept.of = of;
      this.#paint(kept.canvas, id, map);
    }
    this.#kept.set(key, kept);
    return kept.canvas;
  }

  /** @param {HTMLCanvasElement} canvas @param {number} id @param {number} map */
  #paint(canvas, id, map) {
    const plane = this.plane(id);
    if (!plane) return;
    if (this.#picture && this.net.isPicture(id)) return this.#photo(canvas, this.#picture, map);
    const numbers = this.numbers(id, map, plane), span = Math.max(Math.abs(plane.low), Math.abs(plane.high)) || 1;
    if (plane.rows * plane.columns > 1 && plane.rows === 1) return bars(canvas, numbers.list, plane.low, plane.high);
    if (!numbers.rows || !numbers.columns || !plane.maps) return void (canvas.width = canvas.height = 1); // a detector that found nothing has empty values
    const pixels = new ImageData(numbers.columns, numbers.rows), dark = isDark();
    numbers.list.forEach((x, i) => pixels.data.set([...(Number.isNaN(x) ? NOT_FINITE : colour(x, span, "signed", dark)), 255], 4 * i));
    [canvas.width, canvas.height] = [numbers.columns, numbers.rows];
    canvas.getContext("2d")?.putImageData(pixels, 0, 0);
  }

  /** The picture itself; of a clip, one frame. @param {HTMLCanvasElement} canvas @param {ImageBitmap} picture @param {number} map */
  #photo(canvas, picture, map) {
    const frames = this.net.told.frames ?? 1, rows = picture.height / frames, most = 2 * FINE / Math.max(picture.width, rows);
    const size = most < 1 ? [picture.width * most, rows * most] : [picture.width, rows];
    [canvas.width, canvas.height] = size.map(Math.round);
    canvas.getContext("2d")?.drawImage(picture, 0, (map % frames) * rows, picture.width, rows, 0, 0, canvas.width, canvas.height);
  }

  /** The numbers that a thumbnail shows, NaN for what is not finite. @param {number} id @param {number} map @param {Plane} plane */
  numbers(id, map, { rows, columns, low, high, lively }) {
    const own = this.#exact.get(`${id} ${map}`);
    if (own) {
      const [down, across] = [Math.min(rows, FINE), Math.min(columns, FINE)];
      const middle = (/** @type {number} */ i, /** @type {number} */ shown, /** @type {number} */ size) => Math.floor(((2 * i + 1) * size) / (2 * shown));
      const list = Array.from({ length: down * across }, (_, i) => own[middle(Math.floor(i / across), down, rows) * columns + middle(i % across, across, columns)]);
      return { rows: down, columns: across, list: list.map((x) => (Number.isFinite(x) ? x : NaN)) };
    }
    const { side, stacks } = /** @type {AtlasAnswer} */ (this.#atlas), [down, across] = [Math.min(rows, side), Math.min(columns, side)];
    const at = (6 * (this.#places.get(id) ?? 0) + Math.max(0, lively.indexOf(map))) * side * side;
    const list = Array.from({ length: down * across }, (_, i) => stacks[at + Math.floor(i / across) * side + (i % across)]);
    return { rows: down, columns: across, list: list.map((code) => (code ? low + ((code - 1) / 254) * (high - low) : NaN)) };
  }
}

/** A row of numbers as bars about zero. @param {HTMLCanvasElement} canvas @param {number[]} numbers @param {number} low @param {number} high */
function bars(canvas, numbers, low, high) {
  [canvas.width, canvas.height] = [2 * FINE, 2 * FINE];
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const [top, bottom] = [Math.max(0, high), Math.min(0, low)], scale = canvas.height / (top - bottom || 1), each = canvas.width / numbers.length;
  numbers.forEach((x, i) => {
    pen.fillStyle = Number.isNaN(x) ? css(NOT_FINITE) : token(x < 0 ? "--negative" : "--positive");
    const size = Number.isNaN(x) ? canvas.height : Math.max(x ? 4 : 0, Math.abs(x) * scale), gap = each > 8 ? each / 6 : 0;
    pen.fillRect(i * each + gap, Number.isNaN(x) ? 0 : x < 0 ? top * scale : top * scale - size, each - 2 * gap, size);
  });
}
