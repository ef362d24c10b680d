// The questions of the page about one recording; an answer that may be wanted again is kept.

import { ask } from "./asking.js";
import { covers } from "./laid.js";

/**
 * @typedef {import("./answers.js").BenchAnswer} BenchAnswer
 * @typedef {import("./answers.js").Lit} Lit
 * @typedef {import("./answers.js").NumberAnswer} NumberAnswer
 * @typedef {import("./answers.js").QuestionTable} QuestionTable
 * @typedef {import("./answers.js").WalkAnswer} Walk
 * @typedef {import("./asking.js").Model} Model
 */

const KEPT = 24; // answers of one kind that are kept

export class Questions {
  /** @type {Map<string, Map<string, Promise<unknown>>>} */ #kept = new Map();
  /** @type {{ key: string, answer: BenchAnswer }[]} */ #benches = [];
  recording = 0;

  /** @param {Model} model */
  constructor(model) {
    this.model = model;
  }

  /** Ask about this recording from now on. @param {number} recording */
  about(recording) {
    this.recording = recording;
  }

  /** Ask for the network on the picture that it runs on now. */
  network() {
    return ask(this.model, "network", {});
  }

  /**
   * Ask once; a refusal is not kept, and of each question only the latest answers are.
   * @template {keyof QuestionTable} Q
   * @param {Q} question
   * @param {Omit<Parameters<QuestionTable[Q]>[0], "recording">} asked
   * @param {() => Promise<ReturnType<QuestionTable[Q]>>} [fetch] another way to the answer
   * @returns {Promise<ReturnType<QuestionTable[Q]>>}
   */
  once(question, asked, fetch = () => this.#ask(question, asked)) {
    const kept = this.#kept.get(question) ?? new Map();
    this.#kept.set(question, kept);
    const key = JSON.stringify([this.recording, asked]);
    let answer = kept.get(key);
    kept.delete(key);
    if (!answer) {
      answer = fetch();
      answer.catch(() => kept.delete(key));
    }
    kept.set(key, answer);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    return answer;
  }

  /** @template {keyof QuestionTable} Q @param {Q} question @param {Omit<Parameters<QuestionTable[Q]>[0], "recording">} asked */
  #ask(question, asked) {
    return ask(this.model, question, /** @type {Parameters<QuestionTable[Q]>[0]} */ ({ recording: this.recording, ...asked }));
  }

  /**
   * Ask for sheets, and for the kernel of a map beside them, in one question; for those that are kept, not again.
   * @param {{ value: number, first: number }[]} wanted @param {{ value: number, map: number } | null} kernel
   */
  sheets(wanted, kernel) {
    const lacks = (/** @type {"sheet" | "kernels"} */ question, /** @type {object} */ asked) => !this.#kept.get(question)?.has(JSON.stringify([this.recording, asked]));
    const lacking = wanted.filter((each) => lacks("sheet", each));
    const made = kernel && lacks("kernels", kernel) ? { made: kernel.value, map: kernel.map } : {};
    const many = lacking.length + ("made" in made ? 1 : 0) > 1;
    const all = many ? this.#ask("sheets", { values: lacking.map(({ value }) => value), firsts: lacking.map(({ first }) => first), ...made }).catch(() => null) : Promise.resolve(null);
    return {
      sheets: wanted.map((each) => this.once("sheet", each, async () => (await all)?.sheets[lacking.indexOf(each)] ?? this.#ask("sheet", each))),
      kernels: kernel && this.once("kernels", kernel, async () => (await all)?.kernels ?? this.#ask("kernels", kernel)),
    };
  }

  /**
   * Ask for the seats of a number; those of one map serve every place of it where its family can.
   * @param {number} value @param {number[]} index @param {number | null} channel
   * @param {number | null} beside the recording whose maps come along
   */
  async bench(value, index, channel, beside) {
    const key = JSON.stringify([this.recording, value, channel, beside]);
    const had = this.#benches.find((bench) => bench.key === key && covers(bench.answer, index));
    if (had) return had.answer;
    const answer = await this.once("bench", { value, index, ...(channel === null ? {} : { channel }), ...(beside === null ? {} : { beside }) });
    this.#benches = [{ key, answer }, ...this.#benches.slice(0, KEPT - 1)];
    return answer;
  }

  /** @returns {Promise<ImageBitmap>} */
  async picture() {
    const { png } = await this.once("picture", {});
    return createImageBitmap(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (png)], { type: "image/png" }));
  }

  /** Ask for a detection walked back. @param {number} detection @returns {Promise<Walk>} */
  walk(detection) {
    return this.once("walk", { detection });
  }

  /** Ask for the pixels that belong to a detection, by one of its maps. @param {number} detection @param {number} map @returns {Promise<Lit>} */
  mask(detection, map) {
    return this.once("mask", { detection, map });
  }

  /** Ask for the class of every pixel. @returns {Promise<Uint8Array>} */
  async segments() {
    return (await this.once("segments", {})).codes;
  }
}
