// Softmax on the bench: scores into shares of 1, with the fraction written out.

import { html, nothing } from "../vendor/lit-html.js";
import { percent, plural, short } from "../numbers.js";
import { equals } from "./family.js";

/** @import { Family, Laid, View } from "./family.js" */

const LISTED = 3; // powers of the sum that are written out

/**
 * The powers of a row's scores, all less the largest so that none overflows.
 * @param {Laid} laid @param {number[]} place
 */
export function powers(laid, [own]) {
  const scores = Array.from(laid.seat("in")?.numbers ?? [], (x) => (laid.answer.detail.negated ? -x : x));
  const most = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const all = scores.map((x) => Math.exp(x - most));
  const sum = all.reduce((a, b) => a + b, 0);
  const share = laid.answer.detail.log ? scores[own] - most - Math.log(sum) : all[own] / sum;
  return { scores, most, all, sum, share };
}

/** @param {Laid} laid @param {number[]} place */
function name(laid, place) {
  const found = laid.net.category(laid.answer.value, place[0]);
  return found === null ? `Number ${place[0]}` : laid.net.told.random ? `${found[0].toUpperCase()}${found.slice(1)}` : `“${found}”`;
}

/** @param {View} view */
function sentence({ laid, place }) {
  const { scores } = powers(laid, place);
  const made = laid.recorded(place);
  const score = short(laid.seat("in")?.numbers[place[0]] ?? NaN);
  const share = laid.answer.detail.log ? `a share, and its logarithm is ${short(made)}` : `a share of ${percent(made)}`;
  const power = laid.answer.detail.negated ? "e to minus that power" : "e to that power";
  return `${name(laid, place)} scored ${score}. ${power}, divided by the sum over all ${scores.length}, is ${share}.`;
}

const power = (/** @type {number} */ x) => html`e<sup>${short(x)}</sup>`;

/** @param {View} view */
function line(view) {
  const { laid, place } = view;
  const { scores, most, all, sum } = powers(laid, place);
  const order = Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a]);
  const top = order.slice(0, LISTED);
  const rest = order.length - top.length;
  const fraction = html`<span class="ratio"><span>${power(scores[place[0]])}</span><span>${top.map((i, at) => html`${at ? " + " : ""}${power(scores[i])}`)}${rest ? ` + ${plural(rest, "other")}` : ""}</span></span>`;
  const large = most > 80; // the powers themselves would be of no use to a reader
  const by = large ? 1 : Math.exp(most);
  const less = large ? html`<p class="rest">with every score less ${short(most)}, which changes no share: ${short(all[place[0]])} ÷ ${short(sum)}</p>`
    : html`<p class="rest">${short(all[place[0]] * by)} ÷ ${short(sum * by)}</p>`;
  return html`${less}${equals(view, laid.answer.detail.log ? html`log ${fraction}` : fraction)}`;
}

/** @type {Family} */
export const softmax = {
  terms: (laid, place) => {
    const { all, sum } = powers(laid, place);
    return Array.from(laid.seat("in")?.numbers ?? [], (value, i) => ({ at: [i], k: [i], value, weight: all[i] / sum, product: all[i] / sum }));
  },
  around: (_, cell) => cell,
  lit: (_, place) => [place],
  total: (laid, place) => powers(laid, place).share,
  sentence,
  middle: ({ laid }) => html`<div class="kernel"><p class="each"><span class="ratio"><span>e<sup>${laid.answer.detail.negated ? "−score" : "score"}</sup></span><span>sum over all ${laid.out.numbers.length}</span></span></p>${
    laid.answer.detail.log ? html`<p class="soft">and its logarithm</p>` : nothing}</div>`,
  line,
  sign: "→",
  caption: () => "softmax",
};
