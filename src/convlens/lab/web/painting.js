// The maps of a sheet, painted once into canvases that are then only copied.

import { NOT_FINITE, place, table } from "./colours.js";

/** @typedef {import("./answers.js").SheetAnswer} Sheet */

const CHUNK = 1 << 20; // pixels of one painted canvas, about

/**
 * Return the number that the last colour stands for, in one map.
 * @param {Sheet} sheet
 * @param {number} map
 */
export function unitSpan(sheet, map) {
  return Math.max(Math.abs(sheet.low[map]), Math.abs(sheet.high[map]));
}

/** The maps of a sheet, painted in chunks when they are first looked at. */
export class Paint {
  /** @type {Map<number, HTMLCanvasElement>} */ #chunks = new Map();

  /**
   * @param {Sheet} sheet
   * @param {number} width cells in a row of a painted map (the columns, or fewer where wrapped)
   * @param {(map: number) => number} span of a map's colours
   * @param {import("./colours.js").Family} family
   * @param {boolean} dark
   */
  constructor(sheet, width, span, family, dark) {
    this.sheet = sheet;
    this.width = width;
    this.height = Math.ceil((sheet.rows * sheet.columns) / width) || 1;
    this.span = span;
    this.family = family;
    this.dark = dark;
    const pixels = Math.max(1, this.width * this.height);
    this.perChunk = Math.max(1, Math.floor(CHUNK / pixels));
    this.across = Math.max(1, Math.min(this.perChunk, Math.floor(4096 / this.width)));
  }

  /**
   * Copy one map to a context.
   * @param {CanvasRenderingContext2D} context
   * @param {number} map
   * @param {number} x
   * @param {number} y
   * @param {number} width
   * @param {number} height
   */
  draw(context, map, x, y, width, height) {
    const number = Math.floor(map / this.perChunk);
    let chunk = this.#chunks.get(number);
    if (!chunk) {
      chunk = this.#painted(number);
      this.#chunks.set(number, chunk);
    }
    const at = map % this.perChunk;
    const left = (at % this.across) * this.width;
    const top = Math.floor(at / this.across) * this.height;
    context.drawImage(chunk, left, top, this.width, this.height, x, y, width, height);
  }

  /** @param {number} number */
  #painted(number) {
    const { sheet, width, height, across } = this;
    const begin = number * this.perChunk;
    const end = Math.min(sheet.maps, begin + this.perChunk);
    const canvas = document.createElement("canvas");
    canvas.width = across * width;
    canvas.height = Math.ceil((end - begin) / across) * height;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const image = context.createImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    const size = sheet.rows * sheet.columns;
    for (let map = begin; map < end; map++) {
      const colours = this.#colours(map);
      const at = map - begin;
      const corner = Math.floor(at / across) * height * canvas.width + (at % across) * width;
      for (let i = 0; i < size; i++) {
        const row = (i / width) | 0;
        pixels[corner + row * canvas.width + (i - row * width)] = colours[sheet.codes[map * size + i]];
      }
    }
    context.putImageData(image, 0, 0);
    return canvas;
  }

  /** Return the colour of each of a map's 256 codes, as little-endian red green blue alpha. @param {number} map */
  #colours(map) {
    const { sheet } = this;
    const colours = new Uint32Array(256);
    const rgb = table(this.family, this.dark);
    const span = this.span(map);
    const step = (sheet.high[map] - sheet.low[map]) / 254;
    colours[0] = packed(NOT_FINITE[0], NOT_FINITE[1], NOT_FINITE[2]);
    for (let code = 1; code < 256; code++) {
      const at = 3 * place(sheet.low[map] + (code - 1) * step, span);
      colours[code] = packed(rgb[at], rgb[at + 1], rgb[at + 2]);
    }
    return colours;
  }
}

/** @param {number} r @param {number} g @param {number} b */
function packed(r, g, b) {
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}
