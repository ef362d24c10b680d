// What the page asks about one recording, each answer kept while it may be looked at again.

import { revive } from "./arithmetic.js";
import { ask } from "./asking.js";
import { unpack } from "./painting.js";

/**
 * @typedef {import("./asking.js").Model} Model
 * @typedef {import("./outline.js").Value} Value
 * @typedef {import("./painting.js").Sheet} Sheet
 * @typedef {import("./picture.js").Lit} Lit
 *
 * @typedef {object} Station a place on the way from a detection back to the pixels
 * @property {string} name
 * @property {string} text one sentence with its numbers
 * @property {number} value
 * @property {number[]} index
 * @property {"made of" | "chosen"} link
 * @property {(number | string)[] | null} box where it lies in the picture: x1, y1, x2, y2
 *
 * @typedef {{ detection: number, stations: Station[] }} Walk
 */

const KEPT_SHEETS = 12;

export class Questions {
  /** @type {Map<string, Sheet>} */ #sheets = new Map();
  /** @type {Map<string, Promise<any>>} */ #kept = new Map();
  #recording = 0;

  /** @param {Model} model */
  constructor(model) {
    this.model = model;
  }

  /** From now on of this recording. @param {number} recording */
  about(recording) {
    this.#recording = recording;
    this.#sheets.clear();
    this.#kept.clear();
  }

  /** @param {string} what @param {Record<string, any>} [rest] */
  #ask(what, rest = {}) {
    return ask(this.model, { ask: what, recording: this.#recording, ...rest });
  }

  /** Asked once; a refusal is not kept. @param {string} what @param {Record<string, any>} rest @param {(answer: { content: any, buffers: ArrayBuffer[] }) => any} read */
  #once(what, rest, read) {
    const key = JSON.stringify([what, rest]);
    let answer = this.#kept.get(key);
    if (!answer) {
      answer = this.#ask(what, rest).then(read);
      this.#kept.set(key, answer);
      answer.catch(() => this.#kept.delete(key));
    }
    return answer;
  }

  /** @param {Value} value @param {number} first @returns {Promise<Sheet>} */
  async sheet(value, first) {
    const key = `${value.id} ${first}`;
    let sheet = this.#sheets.get(key);
    if (!sheet) {
      const { buffers } = await this.#ask("sheet", { value: value.id, first });
      sheet = unpack(buffers[0]);
      const oldest = this.#sheets.keys().next().value;
      if (this.#sheets.size >= KEPT_SHEETS && oldest !== undefined) this.#sheets.delete(oldest);
    }
    this.#sheets.delete(key);
    this.#sheets.set(key, sheet);
    return sheet;
  }

  /** @param {Sheet} sheet @param {number} map */
  async numbers(sheet, map) {
    const { buffers } = await this.#ask("numbers", { value: sheet.value, first: sheet.first, map });
    return new Float64Array(buffers[0]);
  }

  /** @param {Value} value @param {number[]} index @param {number} start */
  async explain(value, index, start) {
    const { content } = await this.#ask("explain", { value: value.id, index: index.join(","), start });
    return revive(content);
  }

  /** @param {Value} value @param {number[]} index @returns {Promise<Lit>} */
  async region(value, index) {
    return (await this.#ask("region", { value: value.id, index: index.join(","), input: 0 })).content;
  }

  /** @returns {Promise<ImageBitmap>} */
  async picture() {
    const { buffers } = await this.#ask("picture.png");
    return createImageBitmap(new Blob([buffers[0]], { type: "image/png" }));
  }

  /** The largest number of the whole network. @returns {Promise<number>} */
  scale() {
    return this.#once("scale", {}, ({ content }) => content.largest);
  }

  /** A detection walked back. @param {number} detection @returns {Promise<Walk>} */
  walk(detection) {
    return this.#once("trace", { detection }, ({ content }) => content);
  }

  /** The pixels that belong to a detection. @param {number} detection @returns {Promise<Lit>} */
  mask(detection) {
    return this.#once("mask", { detection }, ({ content }) => content);
  }

  /** The class of every pixel. @returns {Promise<Uint8Array>} */
  segments() {
    return this.#once("segments", {}, ({ buffers }) => new Uint8Array(buffers[0]));
  }
}
