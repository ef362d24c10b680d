// A reduction on the bench: all numbers of a map, or of one axis, into one.

import { html, nothing } from "../vendor/lit-html.js";
import { plural, short, tight, unravel } from "../numbers.js";
import { equals } from "./family.js";

/** @import { Family, Laid, Term, View } from "./family.js" */

const LISTED = 9;

/** What one reduction does with numbers, and how it is said. @type {Record<string, { of: (numbers: number[]) => number, said: string }>} */
const RULES = {
  sum: { of: add, said: "sum" },
  mean: { of: (list) => add(list) / list.length, said: "mean" },
  amax: { of: (list) => list.reduce((a, b) => (b > a || Number.isNaN(b) ? b : a)), said: "largest" },
  amin: { of: (list) => list.reduce((a, b) => (b < a || Number.isNaN(b) ? b : a)), said: "least" },
};

/** @param {number[]} list */
function add(list) {
  return list.reduce((a, b) => a + b, 0);
}

/** @param {Laid} laid */
const rule = (laid) => RULES[laid.step?.op ?? ""];

/** @type {Record<string, string>} */
const NAMES = { var: "variance", std: "standard deviation", prod: "product", logsumexp: "logarithm of the sum of powers of e" };

/** @param {Laid} laid */
const said = (laid) => rule(laid)?.said ?? NAMES[laid.step?.op ?? ""] ?? laid.step?.op.replaceAll("_", " ");

/** @param {Laid} laid @returns {Term[]} */
function terms(laid) {
  const { shown, step } = laid;
  if (!shown) return [];
  const numbers = Array.from(shown.numbers);
  const chooses = /^am(ax|in)$/.test(step?.op ?? "");
  const winner = chooses ? numbers.indexOf(rule(laid).of(numbers)) : -1;
  const weight = step?.op === "mean" ? 1 / numbers.length : 1;
  return numbers.map((value, i) => {
    const at = unravel(i, shown.shape);
    const own = chooses ? Number(i === winner) : weight;
    return { at, k: at, value, weight: own, product: own ? value * own : 0, ...(chooses ? { won: i === winner } : {}) };
  });
}

/** @param {View} view */
function sentence({ laid, place, terms }) {
  const { shown, net } = laid;
  const map = shown?.value == null ? "" : ` of ${net.said(shown.value)}${shown.at.some((n, axis) => axis) ? `, ${laid.part(shown)}` : ""}`;
  return `The ${said(laid)} of all ${plural(terms.length, "number")}${map}: ${short(laid.recorded(place))}.`;
}

/** @param {View} view */
function line(view) {
  const { laid, terms } = view;
  const op = laid.step?.op ?? "";
  const list = terms.length <= LISTED ? terms : [...terms].sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, LISTED);
  const rest = terms.length - list.length;
  const signs = op === "sum" || op === "mean";
  const numbers = html`${list.map((t, i) => html`${!i ? "" : signs ? " + " : ", "}${signs && t.value < 0 ? `(${tight(t.value)})` : tight(t.value)}`)}`;
  if (!rest) return equals(view, signs ? html`${op === "mean" ? html`(${numbers}) ÷ ${terms.length}` : numbers}` : html`${said(laid)} of ${numbers}`);
  const all = add(terms.map((t) => t.value));
  return equals(view, signs ? html`sum of ${terms.length} numbers${op === "mean" ? html` ${short(all)} ÷ ${terms.length}` : ""}` : html`${said(laid)} of ${numbers} and ${plural(rest, "other")}`);
}

/** @type {Family} */
export const reducing = {
  terms,
  around: (laid) => laid.placeOf(laid.answer.index),
  total: (laid, place, terms) => rule(laid)?.of(terms.map((t) => t.value)) ?? laid.recorded(place),
  sentence,
  middle: ({ laid, terms }) => (laid.step?.op === "mean" ? html`<p class="each">each × <span class="ratio"><span>1</span><span>${terms.length}</span></span></p>` : nothing),
  line,
  sign: "→",
  caption: (laid) => `the ${said(laid)}`,
};
