// One number's seats on the bench, as the question `bench` brought them: maps of exact numbers, by their roles.

import { axisNames } from "./net.js";
import { ravel, same } from "./numbers.js";

/**
 * @typedef {import("./answers.js").BenchAnswer} BenchAnswer
 * @typedef {import("./answers.js").SeatRow} SeatRow
 * @typedef {import("./answers.js").StepRow} StepRow
 * @typedef {{ role: string, value: number | null, at: number[], shape: number[], numbers: Float32Array | Float64Array }} Seat
 *
 * A product (or a part) of a number: where its input lies on the shown map (null: beyond the edge), the kernel's position, and
 * whether it was chosen among the others, where only one is.
 * @typedef {{ at: number[] | null, k: number[], value: number, weight: number, product: number, won?: boolean }} Term
 */

/** The families whose seats serve every place of the map that is open, not only the number that was asked for. */
const EVERYWHERE = new Set(["conv", "transposed", "max_pool", "avg_pool", "pointwise", "add", "multiply", "norm", "resample", "softmax"]);

/** Whether an answer's seats hold what a place of its map is made of. @param {BenchAnswer} answer @param {number[]} place */
function holds({ family, seats, detail, index, numbers }, place) {
  const seat = (/** @type {string} */ name) => seats.find(({ role }) => role === name);
  const out = seat("out");
  if (family === "linear") return seat("kernel")?.shape.length === 2;
  if (family === "concat") return (detail.dim ?? 0) < index.length - (out?.shape.length ?? 0);
  const origin = seat("origin");
  if (family === "move") return Boolean(origin && numbers[origin.start + ravel(place, origin.shape)] >= 0);
  return EVERYWHERE.has(family);
}

/** The axes of the index that a place has: the last ones, or the one along which a softmax goes. @param {BenchAnswer} answer */
function axesOf({ index, detail, family, seats }) {
  if (family === "softmax" && detail.dim !== undefined) return index.length ? [detail.dim] : [];
  const rank = seats.find(({ role }) => role === "out")?.shape.length ?? 0;
  return index.map((_, axis) => axis).slice(index.length - rank);
}

/** Whether an answer's seats show this index of its value, too. @param {BenchAnswer} answer @param {number[]} index */
export function covers(answer, index) {
  const axes = axesOf(answer);
  if (index.some((at, axis) => at !== answer.index[axis] && !axes.includes(axis))) return false;
  return same(index, answer.index) || holds(answer, axes.map((axis) => index[axis]));
}

export class Laid {
  /** @type {Seat[]} */ seats;

  /** @param {BenchAnswer} answer @param {StepRow | undefined} step @param {import("./net.js").Net} net @param {number | null} channel */
  constructor(answer, step, net, channel) {
    this.answer = answer;
    this.step = step;
    this.net = net;
    const { origin } = answer.detail;
    this.seats = answer.seats.map(({ role, value, at, shape, start }) => {
      const numbers = answer.numbers.subarray(start, start + shape.reduce((a, b) => a * b, 1));
      if (role === "in" && origin) return { role, at, numbers, ...origin };
      const alone = !shape.length && /^(in2?|out)$/.test(role); // a single number has a place, too
      return { role, value, at, shape: alone ? [1] : shape, numbers };
    });
    this.channel = channel ?? answer.channel;
  }

  /** Make the numbers its own, so that a change that is tried does not reach the answer that is kept. */
  own() {
    if (this.#own) return;
    this.#own = true;
    for (const seat of this.seats) seat.numbers = seat.numbers.slice();
  }

  #own = false;

  /** @param {number[]} index */
  placeOf(index) {
    const axes = axesOf(this.answer);
    return axes.length ? axes.map((axis) => index[axis]) : [0];
  }

  /** @param {number[]} place */
  indexOf(place) {
    const index = [...this.answer.index];
    axesOf(this.answer).forEach((axis, i) => { index[axis] = place[i]; });
    return index;
  }

  /** Whether the seats hold what a place is made of. @param {number[]} place */
  knows(place) {
    return same(place, this.placeOf(this.answer.index)) || holds(this.answer, place);
  }

  /** Name the part of its value that a seat is: its map, its place where it goes through all maps, or its shape. @param {Seat} seat */
  part({ value, at, shape }) {
    if (value === null) return "";
    const { net } = this;
    const whole = net.value(value).shape;
    const { dim } = this.answer.detail;
    const lane = dim !== undefined && at.length + 1 === whole.length && shape.length === 1 && shape[0] === whole[dim];
    if (!lane) return at.length === whole.length - net.spatial(value) ? net.map(value, at.at(-1) ?? 0) || net.shape(value) : net.shape(value);
    const lead = whole.length - net.spatial(value);
    const names = [...Array.from({ length: lead }, (_, axis) => (axis && axis === lead - 1 ? "map" : "")), ...axisNames(net.spatial(value))]; // a sample has no name
    const axes = names.filter((_, axis) => axis !== dim);
    return axes.map((name, axis) => name && `${name} ${at[axis]}`).filter(Boolean).join(", ") || net.shape(value);
  }

  /** @param {string} role */
  seat(role) {
    return this.seats.find((seat) => seat.role === role);
  }

  /** The map of the number; of one that cannot be shown, the number alone. @returns {Seat} */
  get out() {
    const { value, index, recorded } = this.answer;
    return this.seat("out") ?? { role: "out", value, at: index.slice(0, -1), shape: [1], numbers: Float64Array.of(recorded) };
  }

  /** How many axes a place has. */
  get rank() {
    return this.out.shape.length;
  }

  /** The input map that is shown; where all maps of a group came, the one of `channel`. @returns {Seat | undefined} */
  get shown() {
    const seat = this.seat("in");
    if (!seat || seat.shape.length <= this.rank || !this.hasAll) return seat;
    const shape = seat.shape.slice(1);
    const size = shape.reduce((a, b) => a * b, 1);
    const at = this.inGroup;
    return { ...seat, at: [...seat.at, this.channel ?? 0], shape, numbers: seat.numbers.subarray(at * size, (at + 1) * size) };
  }

  /** Whether every input map of the group is here, so that each one's part is known under a moving pointer. */
  get hasAll() {
    const seat = this.seat("in");
    return Boolean(this.step?.windows.length && seat && seat.shape.length === this.step.windows.length + 1);
  }

  /** The place of the shown map among those of its group. */
  get inGroup() {
    return (this.channel ?? 0) - (this.answer.detail.first ?? 0);
  }

  /** The recorded number at a place. @param {number[]} place */
  recorded(place) {
    return this.seat("out") ? this.out.numbers[ravel(place, this.out.shape)] : this.answer.recorded;
  }

  /** A seat's single number, 0 without it. @param {string} role @param {number[]} [place] */
  number(role, place = []) {
    const seat = this.seat(role);
    if (!seat) return 0;
    return seat.numbers[seat.shape.length ? ravel(place, seat.shape) : 0];
  }
}
