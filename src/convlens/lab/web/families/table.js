// The families of steps, each with its seats, its line and its sentence.

import { windowed } from "./windowed.js";
import { other } from "./other.js";

/** @type {Record<string, import("./family.js").Family>} */
const FAMILIES = {
  conv: windowed,
  transposed: windowed,
};

/** Return the family of a step's kind. @param {string} name */
export function familyOf(name) {
  return FAMILIES[name] ?? other;
}
