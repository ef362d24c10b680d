// Two values that meet number by number on the bench: sums, differences, products, quotients.

import { html, nothing } from "../vendor/lit-html.js";
import { ravel, short } from "../numbers.js";
import { equals, sum } from "./family.js";

/** @import { Family, Laid, Term, View } from "./family.js" */

/** Both numbers of a place, and what the second is taken times. @param {Laid} laid @param {number[]} place @returns {[number, number, number]} */
function numbers(laid, place) {
  const { sign, alpha = 1 } = laid.answer.detail;
  const [a, b] = ["in", "in2"].map((role) => laid.number(role, place));
  return [a, b, sign === "-" ? -alpha : alpha];
}

/** @param {Laid} laid @param {number[]} place @returns {Term[]} */
function terms(laid, place) {
  const [a, b, times] = numbers(laid, place);
  if (sign(laid) === "×") return [{ at: place, k: [], value: a, weight: b, product: a * b }];
  if (sign(laid) === "÷") return [{ at: place, k: [], value: a, weight: 1 / b, product: a / b }];
  return [{ at: place, k: [0], value: a, weight: 1, product: a }, { at: null, k: [1], value: b, weight: times, product: times * b }];
}

/** @param {Laid} laid */
function sign({ answer: { detail } }) {
  return detail.sign === "-" ? "−" : detail.sign === "/" ? "÷" : detail.sign === "×" ? "×" : "+";
}

/** Whether an operand has one number for a whole map. @param {Laid} laid @param {string} role */
function single(laid, role) {
  const seat = laid.seat(role);
  if (!seat || seat.value === null) return false;
  const { shape } = laid.net.value(seat.value);
  return laid.out.numbers.length > 1 && shape.slice(Math.max(0, shape.length - laid.rank)).every((n) => n === 1);
}

/** @param {View} view */
function sentence({ laid, place }) {
  const [a, b] = numbers(laid, place);
  const [one, two] = ["in", "in2"].map((role) => laid.net.said(laid.seat(role)?.value ?? -1));
  const made = short(laid.recorded(place));
  const verb = { "×": "multiplied", "÷": "divided", "+": "added", "−": "subtracted" }[sign(laid)];
  if (sign(laid) === "×" && (single(laid, "in") || single(laid, "in2"))) {
    const [map, gate, x] = single(laid, "in2") ? [one, two, b] : [two, one, a];
    return `Every number of this map of ${map} is multiplied by one number of ${gate}, ${short(x)}. Here that makes ${made}.`;
  }
  const how = { "+": `${one} and ${two}`, "×": `${one} and ${two}`, "−": `${two} from ${one}`, "÷": `${one} by ${two}` }[sign(laid)];
  return `Numbers at the same place are ${verb}, ${how}: ${short(a)} ${sign(laid)} ${b < 0 ? `(${short(b)})` : short(b)} makes ${made}.`;
}

/** @param {View} view */
function line(view) {
  const [a, b] = numbers(view.laid, view.place);
  const { alpha = 1 } = view.laid.answer.detail;
  return equals(view, html`${short(a)} ${sign(view.laid)} ${alpha === 1 ? "" : `${short(alpha)} × `}${b < 0 ? `(${short(b)})` : short(b)}`);
}

/** @type {Family} */
export const adding = {
  terms,
  around: (_, cell) => cell,
  total: (_, __, terms) => sum(terms),
  sentence,
  middle: () => nothing,
  line,
  sign,
  caption: () => "",
};
