// The questions of the page about one recording; an answer that may be wanted again is kept.

import { ask } from "./asking.js";
import { covers } from "./laid.js";

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

  /** @template {keyof QuestionTable} Q @param {Q} question @param {Omit<Parameters<QuestionTable[Q]>[0], "recording">} asked */
  #ask(question, asked) {
    return ask(this.model, question, /** @type {Parameters<QuestionTable[Q]>[0]} */ ({ recording: this.recording, ...asked }));
  }

  /** The answers that are kept to a question. @param {keyof QuestionTable} question */
  #of(question) {
    const kept = this.#kept.get(question) ?? new Map();
    this.#kept.set(question, kept);
    return kept;
  }

  /** @param {unknown} asked */
  #key(asked) {
    return JSON.stringify([this.recording, asked]);
  }

  /**
   * Ask once, perhaps in another way; a refusal is not kept, and of each question only the latest answers are.
   * @template {keyof QuestionTable} Q @param {Q} question @param {Omit<Parameters<QuestionTable[Q]>[0], "recording">} asked
   * @param {() => Promise<ReturnType<QuestionTable[Q]>>} [fetch] @returns {Promise<ReturnType<QuestionTable[Q]>>}
   */
  once(question, asked, fetch = () => this.#ask(question, asked)) {
    const kept = this.#of(question), key = this.#key(asked), answer = kept.get(key) ?? fetch();
    if (!kept.delete(key)) answer.catch(() => kept.delete(key));
    kept.set(key, answer);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    return answer;
  }

  /**
   * Ask for sheets, and for the kernel of a map beside them, in one question; for those that are kept, not again.
   * @param {{ value: number, first: number }[]} wanted @param {{ value: number, map: number } | null} kernel
   */
  sheets(wanted, kernel) {
    const lacking = wanted.filter((each) => !this.#of("sheet").has(this.#key(each)));
    const made = kernel && !this.#of("kernels").has(this.#key(kernel)) ? { made: kernel.value, map: kernel.map } : null;
    const asked = { values: lacking.map(({ value }) => value), firsts: lacking.map(({ first }) => first), ...made };
    const all = lacking.length + (made ? 1 : 0) > 1 ? this.#ask("sheets", asked).catch(() => null) : null;
    return {
      sheets: wanted.map((each) => this.once("sheet", each, async () => (await all)?.sheets[lacking.indexOf(each)] ?? this.#ask("sheet", each))),
      kernels: kernel && this.once("kernels", kernel, async () => (await all)?.kernels ?? this.#ask("kernels", kernel)),
    };
  }

  /** Ask for a number's seats, which may serve all places of its map. @param {number} value @param {number[]} index @param {number | null} channel @param {number | null} beside the recording whose maps come along @param {number} [recording] */
  async bench(value, index, channel, beside, recording = this.recording) {
    const asked = { recording, value, index, channel: channel ?? undefined, beside: beside ?? undefined }, key = this.#key([recording, value, channel, beside]);
    const had = this.#benches.find((bench) => bench.key === key && covers(bench.answer, index));
    if (had) return had.answer;
    const answer = await this.once("bench", asked);
    this.#benches = [{ key, answer }, ...this.#benches.slice(0, KEPT - 1)];
    return answer;
  }

  async picture() {
    const { png } = await this.once("picture", {});
    return createImageBitmap(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (png)], { type: "image/png" }));
  }
}
