// One number's seats on the bench, as the question `bench` brought them: maps of exact numbers, by their roles.

import { ravel } from "./numbers.js";

/**
 * @typedef {import("./answers.js").BenchAnswer} BenchAnswer
 * @typedef {import("./answers.js").SeatRow} SeatRow
 * @typedef {import("./answers.js").StepRow} StepRow
 * @typedef {{ role: string, value: number | null, at: number[], shape: number[], numbers: Float32Array | Float64Array }} Seat
 *
 * A product (or a part) of a number: where its input lies on the shown map (null: beyond the edge), the kernel's position.
 * @typedef {{ at: number[] | null, k: number[], value: number, weight: number, product: number }} Term
 */

export class Laid {
  /** @type {Map<string, Seat>} */ #seats = new Map();

  /** @param {BenchAnswer} answer @param {StepRow | undefined} step @param {import("./net.js").Net} net @param {number | null} channel */
  constructor(answer, step, net, channel) {
    this.answer = answer;
    this.step = step;
    this.net = net;
    for (const { role, value, at, shape, start } of answer.seats) {
      const size = shape.reduce((a, b) => a * b, 1);
      this.#seats.set(role, { role, value, at, shape, numbers: answer.numbers.subarray(start, start + size) });
    }
    this.channel = channel ?? answer.channel;
  }

  /** Make the numbers its own, so that a change that is tried does not reach the answer that is kept. */
  own() {
    if (this.#own) return;
    this.#own = true;
    for (const seat of this.#seats.values()) seat.numbers = seat.numbers.slice();
  }

  #own = false;

  /** @param {string} role */
  seat(role) {
    return this.#seats.get(role);
  }

  /** @returns {Seat} */
  get out() {
    return /** @type {Seat} */ (this.#seats.get("out"));
  }

  /** How many axes a place has. */
  get rank() {
    return this.out.shape.length;
  }

  /** The input map that is shown; where all maps of a group came, the one of `channel`. @returns {Seat | undefined} */
  get shown() {
    const seat = this.#seats.get("in");
    if (!seat || seat.shape.length <= this.rank || !this.hasAll) return seat;
    const shape = seat.shape.slice(1);
    const size = shape.reduce((a, b) => a * b, 1);
    const at = this.inGroup;
    return { ...seat, at: [...seat.at, this.channel ?? 0], shape, numbers: seat.numbers.subarray(at * size, (at + 1) * size) };
  }

  /** Whether every input map of the group is here, so that each one's part is known under a moving pointer. */
  get hasAll() {
    const seat = this.#seats.get("in");
    return Boolean(this.step?.windows.length && seat && seat.shape.length === this.step.windows.length + 1);
  }

  /** The place of the shown map among those of its group. */
  get inGroup() {
    return (this.channel ?? 0) - (this.answer.detail.first ?? 0);
  }

  /** The recorded number at a place. @param {number[]} place */
  recorded(place) {
    return this.out.numbers[ravel(place, this.out.shape)];
  }

  /** A seat's single number, 0 without it. @param {string} role @param {number[]} [place] */
  number(role, place = []) {
    const seat = this.#seats.get(role);
    if (!seat) return 0;
    return seat.numbers[seat.shape.length ? ravel(place, seat.shape) : 0];
  }
}
