// One number's seats on the bench, as the question `bench` brought them: maps of exact numbers, by their roles.

import { axisNames } from "./net.js";
import { ravel, same, volume } from "./numbers.js";

/** The families whose seats serve every place of the map that is open, not only the number that was asked for. */
const EVERYWHERE = new Set(["conv", "transposed", "max_pool", "avg_pool", "pointwise", "add", "multiply", "norm", "resample", "softmax"]);

/** Whether an answer's seats hold what a place of its map is made of. @param {BenchAnswer} answer @param {number[]} place */
function holds({ family, seats, detail: { dim = 0 }, index, numbers }, place) {
  const seat = (/** @type {string} */ name) => seats.find(({ role }) => role === name), origin = seat("origin");
  if (family === "linear") return seat("kernel")?.shape.length === 2;
  if (family === "concat") return dim < index.length - (seat("out")?.shape.length ?? 0);
  return family === "move" ? Boolean(origin && numbers[origin.start + ravel(place, origin.shape)] >= 0) : EVERYWHERE.has(family);
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

/** Return one map of a seat that holds several. @param {Seat} seat @param {number} at @returns {Seat} */
export function cut(seat, at) {
  const shape = seat.shape.slice(1), size = volume(shape);
  return { ...seat, shape, numbers: seat.numbers.subarray(at * size, (at + 1) * size) };
}

export class Laid {
  /** @type {Seat[]} */ seats;
  beside = false; // whether it is the other recording's, and this one's maps came along
  #own = false;

  /** @param {BenchAnswer} answer @param {StepRow | undefined} step @param {Net} net @param {number | null} channel */
  constructor(answer, step, net, channel) {
    this.answer = answer;
    this.step = step;
    this.net = net;
    const { origin } = answer.detail;
    this.seats = answer.seats.map(({ role, value, at, shape, start }) => {
      const numbers = answer.numbers.subarray(start, start + volume(shape));
      if (role === "in" && origin) return { role, at, numbers, ...origin };
      const alone = !shape.length && /^(in2?|out)$/.test(role); // a single number has a place, too
      return { role, value, at, shape: alone ? [1] : shape, numbers };
    });
    this.channel = channel ?? answer.channel ?? 0;
    this.family = answer.family;
    this.op = step?.op ?? "";
    this.windows = step?.windows ?? [];
  }

  /** Make the numbers its own, so that a change that is tried does not reach the answer that is kept. */
  own() {
    if (!this.#own) for (const seat of this.seats) seat.numbers = seat.numbers.slice();
    this.#own = true;
  }

  /** @param {number[]} index */
  placeOf(index) {
    const axes = axesOf(this.answer);
    return axes.length ? axes.map((axis) => index[axis]) : [0];
  }

  /** @param {number[]} place */
  indexOf(place) {
    const axes = axesOf(this.answer);
    return this.answer.index.map((at, axis) => (axes.includes(axis) ? place[axes.indexOf(axis)] : at));
  }

  /** The place of the number that was asked for. */
  get here() {
    return this.placeOf(this.answer.index);
  }

  /** Whether the seats hold what a place is made of. @param {number[]} place */
  knows(place) {
    return same(place, this.here) || holds(this.answer, place);
  }

  /** Name the part of its value that a seat is: its map, its place where it goes through all maps, or its shape. @param {Seat} seat */
  part({ value, at, shape }) {
    if (value === null) return "";
    const { net } = this, { dim } = this.answer.detail, whole = net.value(value).shape, space = net.spatial(value), lead = whole.length - space;
    const lane = dim !== undefined && at.length + 1 === whole.length && shape.length === 1 && shape[0] === whole[dim];
    if (!lane) return (at.length === lead && net.map(value, at.at(-1) ?? 0)) || net.shape(value);
    const names = whole.map((_, axis) => (axis >= lead ? axisNames(space)[axis - lead] : axis && axis === lead - 1 ? "map" : "")).filter((_, axis) => axis !== dim); // a sample has no name
    return names.flatMap((name, axis) => (name ? `${name} ${at[axis]}` : [])).join(", ") || net.shape(value);
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

  /** Which map of its value that is. */
  get map() {
    return this.out.at.at(-1) ?? 0;
  }

  /** How many axes a place has. */
  get rank() {
    return this.out.shape.length;
  }

  /** The input map that is shown; where all maps of a group came, the one of `channel`. @returns {Seat | undefined} */
  get shown() {
    const seat = this.seat("in");
    if (!seat || seat.shape.length <= this.rank || !this.hasAll) return seat;
    return { ...cut(seat, this.inGroup), at: [...seat.at, this.channel] };
  }

  /** What is shown, in a sentence: "the picture", "conv1". */
  get source() {
    return this.net.said(this.seat("in")?.value ?? -1);
  }

  /** Whether every input map of the group is here, so that each one's part is known under a moving pointer. */
  get hasAll() {
    const axes = this.windows.length;
    return axes > 0 && this.seat("in")?.shape.length === axes + 1;
  }

  /** The place of the shown map among those of its group. */
  get inGroup() {
    return this.channel - (this.answer.detail.first ?? 0);
  }

  /** The recorded number at a place. @param {number[]} place */
  recorded(place) {
    return this.seat("out") ? this.number("out", place) : this.answer.recorded;
  }

  /** The number of the shown map at a place. @param {number[]} place */
  given(place) {
    return this.shown ? this.shown.numbers[ravel(place, this.shown.shape)] : NaN;
  }

  /** A seat's number at a place, its only one where it has no more; 0 without the seat. @param {string} role @param {number[]} [place] */
  number(role, place = []) {
    const seat = this.seat(role);
    return seat ? seat.numbers[seat.shape.length ? ravel(place, seat.shape) : 0] : 0;
  }
}
