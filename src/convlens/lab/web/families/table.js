// The families of steps, each with its seats, its line and its sentence.

import { elsewhere, other } from "./other.js";
import { pooling, resample } from "./pooling.js";
import { linear, reducing, softmax } from "./rows.js";
import { adding, moving, norm, pointwise } from "./single.js";
import { windowed } from "./windowed.js";
import { same } from "../numbers.js";

/** @type {Record<string, Family>} */
const FAMILIES = {
  conv: windowed, transposed: windowed, max_pool: pooling, avg_pool: pooling, linear, softmax, pointwise,
  add: adding, multiply: adding, concat: moving, move: moving, norm, resample, reduce: reducing,
};

/** Return the family that shows a number; of a place whose own terms the seats do not hold, what little is known. @param {Laid} laid @param {number[]} [place] */
export function familyOf(laid, place) {
  const family = FAMILIES[laid.family] ?? other;
  return place && !laid.knows(place) ? { ...family, ...elsewhere } : family;
}

/** Return the terms that an input cell is of the numbers that it feeds; `at` is where these are. @param {Laid} laid @param {number[]} cell */
export function fed(laid, cell) {
  const { readers, terms } = familyOf(laid);
  return readers?.(laid, cell).flatMap((place) => terms(laid, place).filter(({ at }) => same(at, cell)).map((term) => ({ ...term, at: place, won: false }))) ?? [];
}
