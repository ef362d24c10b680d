// The questions of the page about one recording; an answer that may be wanted again is kept.

import { ask } from "./asking.js";

/**
 * @typedef {import("./answers.js").Lit} Lit
 * @typedef {import("./answers.js").NumberAnswer} NumberAnswer
 * @typedef {import("./answers.js").QuestionTable} QuestionTable
 * @typedef {import("./answers.js").SheetAnswer} Sheet
 * @typedef {import("./answers.js").ValueRow} Value
 * @typedef {import("./answers.js").WalkAnswer} Walk
 * @typedef {import("./asking.js").Model} Model
 */

const KEPT_SHEETS = 12;

export class Questions {
  /** @type {Map<string, Sheet>} */ #sheets = new Map();
  /** @type {Map<string, Promise<unknown>>} */ #kept = new Map();
  /** @type {{ key: string, answer: Promise<NumberAnswer> } | null} */ #number = null;
  #recording = 0;

  /** @param {Model} model */
  constructor(model) {
    this.model = model;
  }

  /** Ask about this recording from now on. @param {number} recording */
  about(recording) {
    this.#recording = recording;
    this.#sheets.clear();
    this.#kept.clear();
    this.#number = null;
  }

  /** Ask for the network on the picture that it runs on now. */
  network() {
    return ask(this.model, "network", {});
  }

  /** Return the sheet of a value, if the page has it. @param {Value} value @param {number} first @returns {Sheet | undefined} */
  held(value, first) {
    const sheet = this.#sheets.get(`${value.id} ${first}`);
    if (sheet) this.#hold(sheet);
    return sheet;
  }

  /** @param {Value} value @param {number} first @returns {Promise<Sheet>} */
  async sheet(value, first) {
    const held = this.held(value, first);
    if (held) return held;
    const recording = this.#recording;
    const sheet = await ask(this.model, "sheet", { recording, value: value.id, first });
    if (recording === this.#recording) this.#hold(sheet);
    return sheet;
  }

  /** Keep a sheet as the newest, and drop the oldest. @param {Sheet} sheet */
  #hold(sheet) {
    const key = `${sheet.value} ${sheet.first}`;
    this.#sheets.delete(key);
    this.#sheets.set(key, sheet);
    const oldest = this.#sheets.keys().next().value;
    if (this.#sheets.size > KEPT_SHEETS && oldest !== undefined) this.#sheets.delete(oldest);
  }

  /**
   * Ask for one number, and in the same answer for the sheet it lies on if the page lacks that. The
   * last number is kept: a change of scale or zoom does not ask for it again.
   * @param {Value} value
   * @param {number[]} index
   * @param {number} first index on the sheet's first axis
   * @param {boolean} choices whether the region of a chosen number is wanted
   * @returns {Promise<NumberAnswer>}
   */
  async number(value, index, first, choices) {
    const key = JSON.stringify([value.id, index, choices]);
    if (this.#number?.key === key) return this.#number.answer;
    const recording = this.#recording;
    const sheet = this.held(value, first) ? undefined : first;
    const answer = ask(this.model, "number", { recording, value: value.id, index, sheet, choices });
    const last = this.#number = { key, answer };
    try {
      const { sheet: brought } = await answer;
      if (brought && recording === this.#recording) this.#hold(brought);
    } catch (error) {
      if (this.#number === last) this.#number = null;
      throw error;
    }
    return answer;
  }

  /** Ask for more terms of a number, from a rank on. @param {number} value @param {number[]} index @param {number} start */
  terms(value, index, start) {
    return ask(this.model, "terms", { recording: this.#recording, value, index, start });
  }

  /** Return the numbers of one map; ask for them only if the sheet is too large to bring them. @param {Sheet} sheet @param {number} map @returns {Promise<Float32Array | Float64Array>} */
  async numbers({ value, first, exact, rows, columns }, map) {
    if (exact) return exact.subarray(map * rows * columns, (map + 1) * rows * columns);
    return (await ask(this.model, "numbers", { recording: this.#recording, value, first, map })).numbers;
  }

  /** @returns {Promise<ImageBitmap>} */
  async picture() {
    const { png } = await ask(this.model, "picture", { recording: this.#recording });
    return createImageBitmap(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (png)], { type: "image/png" }));
  }

  /** Ask for the largest number of the whole network. @returns {Promise<number>} */
  async scale() {
    return (await this.#once("scale", { recording: this.#recording })).largest;
  }

  /** Ask for a detection walked back. @param {number} detection @returns {Promise<Walk>} */
  walk(detection) {
    return this.#once("walk", { recording: this.#recording, detection });
  }

  /** Ask for the pixels that belong to a detection, by one of its maps. @param {number} detection @param {number} map @returns {Promise<Lit>} */
  mask(detection, map) {
    return this.#once("mask", { recording: this.#recording, detection, map });
  }

  /** Ask for the class of every pixel. @returns {Promise<Uint8Array>} */
  async segments() {
    return (await this.#once("segments", { recording: this.#recording })).codes;
  }

  /**
   * Ask once; a refusal is not kept.
   * @template {keyof QuestionTable} Q
   * @param {Q} question
   * @param {Parameters<QuestionTable[Q]>[0]} asked
   * @returns {Promise<ReturnType<QuestionTable[Q]>>}
   */
  #once(question, asked) {
    const key = JSON.stringify([question, asked]);
    let answer = this.#kept.get(key);
    if (!answer) {
      answer = ask(this.model, question, asked);
      this.#kept.set(key, answer);
      answer.catch(() => this.#kept.delete(key));
    }
    return /** @type {Promise<ReturnType<QuestionTable[Q]>>} */ (answer);
  }
}
