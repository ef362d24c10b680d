// The families of steps, each with its seats, its line and its sentence.

import { adding } from "./adding.js";
import { linear } from "./linear.js";
import { moving } from "./moving.js";
import { norm } from "./norm.js";
import { elsewhere, other } from "./other.js";
import { pointwise } from "./pointwise.js";
import { pooling } from "./pooling.js";
import { reducing } from "./reducing.js";
import { resample } from "./resample.js";
import { softmax } from "./softmax.js";
import { windowed } from "./windowed.js";

/** @import { Family, Laid } from "./family.js" */

/** @type {Record<string, Family>} */
const FAMILIES = {
  conv: windowed, transposed: windowed, max_pool: pooling, avg_pool: pooling, linear, softmax, pointwise,
  add: adding, multiply: adding, concat: moving, move: moving, norm, resample, reduce: reducing,
};

/** Return the family that shows a number; of a place whose own terms the seats do not hold, what little is known. @param {Laid | null} laid @param {number[]} [place] */
export function familyOf(laid, place) {
  const family = FAMILIES[laid?.answer.family ?? ""] ?? other;
  return laid && place && !laid.knows(place) ? { ...family, ...elsewhere } : family;
}
