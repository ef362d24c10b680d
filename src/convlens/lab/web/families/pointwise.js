// A function of each number by itself on the bench: its curve, and the point on it.

import { html, nothing, svg } from "../vendor/lit-html.js";
import { ravel, short } from "../numbers.js";
import { equals } from "./family.js";

/** @import { Family, Laid, View } from "./family.js" */

/** The number that comes in. @param {Laid} laid @param {number[]} place */
const given = (laid, place) => (laid.shown ? laid.shown.numbers[ravel(place, laid.shown.shape)] : NaN);

const sup = (/** @type {unknown} */ base, /** @type {unknown} */ power) => html`${base}<sup>${power}</sup>`;

/** A number that follows a sign. @param {string} text */
const inside = (text) => (text.startsWith("−") ? `(${text})` : text);

/**
 * How each function is written out; x is the number, c the constant of an arithmetic with one, d the other constants.
 * @type {Record<string, (x: string, c: string, d: import("../answers.js").BenchDetail, n: number) => unknown>}
 */
const WRITTEN = {
  relu: (x) => `max(0, ${x})`,
  leaky_relu: (x, _, d, n) => (n < 0 ? `${short(d.negative_slope ?? 0.01)} × ${inside(x)}` : x),
  clamp: (x, _, { low, high }) => {
    const top = high === undefined ? x : `min(${x}, ${short(high)})`;
    return low === undefined ? top : `max(${short(low)}, ${top})`;
  },
  sigmoid: (x) => html`1 ÷ (1 + ${sup("e", x.startsWith("−") ? x.slice(1) : `−${x}`)})`,
  silu: (x) => html`${x} × sigmoid(${x})`,
  exp: (x) => sup("e", x),
  neg: (x) => `−${inside(x)}`,
  abs: (x) => `|${x}|`,
  sqrt: (x) => `√${inside(x)}`,
  square: (x) => sup(inside(x), 2),
  reciprocal: (x) => `1 ÷ ${inside(x)}`,
  add: (x, c) => (c.startsWith("−") ? `${x} − ${c.slice(1)}` : `${x} + ${c}`),
  sub: (x, c) => `${x} − ${inside(c)}`,
  rsub: (x, c) => `${c} − ${inside(x)}`,
  mul: (x, c) => `${x} × ${inside(c)}`,
  div: (x, c) => `${x} ÷ ${inside(c)}`,
  rdiv: (x, c) => `${c} ÷ ${inside(x)}`,
};
const SAME = { relu6: "clamp", hardtanh: "clamp", clip: "clamp", clamp_min: "clamp", clamp_max: "clamp", subtract: "sub", multiply: "mul", divide: "div", true_divide: "div" };

/** The name that a function is written by. @param {Laid} laid */
const op = (laid) => (laid.step?.op ?? "").replace(/^_|_$/g, "");

/** @param {Laid} laid @param {number} x */
function formula(laid, x) {
  const { detail } = laid.answer;
  const name = SAME[/** @type {keyof typeof SAME} */ (op(laid))] ?? op(laid);
  const arithmetic = /^r?(add|sub|mul|div)$/.test(name);
  const write = arithmetic && detail.scalar === undefined ? undefined : WRITTEN[name];
  return write ? write(short(x), short(detail.scalar ?? 0), detail, x) : `${op(laid)}(${short(x)})`;
}

/** @param {View} view */
function sentence({ laid, place }) {
  const x = given(laid, place);
  const y = laid.recorded(place);
  if (op(laid) === "relu") {
    if (x > 0) return `Positive, so it passes as it is: ${short(x)}.`;
    return x < 0 ? `Negative, so it becomes 0: ${short(x)} stops here.` : `${short(x)} passes as it is.`;
  }
  if (laid.answer.detail.scalar !== undefined) return `Every number of ${laid.net.said(laid.shown?.value ?? -1)} meets the same number, ${short(laid.answer.detail.scalar)}. Here ${short(x)} becomes ${short(y)}.`;
  return `The function ${op(laid)} takes each number by itself. Here ${short(x)} becomes ${short(y)}.`;
}

/** The curve, the axes where they are in sight, and the point. @param {View} view */
function middle({ laid, place, width }) {
  const curve = laid.seat("curve")?.numbers;
  if (!curve) return nothing;
  const half = curve.length / 2;
  const [xs, ys] = [curve.subarray(0, half), curve.subarray(half)];
  const [x, y] = [given(laid, place), laid.recorded(place)];
  const [left, right] = [xs[0], xs[half - 1]];
  const finite = Array.from(ys).filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const w = Math.min(width, 260);
  const h = Math.round(w * 0.7);
  const across = (/** @type {number} */ v) => 6 + ((v - left) / (right - left || 1)) * (w - 12);
  const down = (/** @type {number} */ v) => (high > low ? h - 8 - ((v - low) / (high - low)) * (h - 16) : h / 2);
  const points = Array.from(xs, (v, i) => (Number.isFinite(ys[i]) ? `${across(v).toFixed(1)},${down(ys[i]).toFixed(1)}` : "")).filter(Boolean).join(" ");
  const [px, py] = [across(x), down(y)];
  const seen = Number.isFinite(px) && Number.isFinite(py);
  return html`<svg class="curve" width=${w} height=${h + 18} role="img" aria-label=${`${op(laid)}: ${short(x)} becomes ${short(y)}`}>
    ${low <= 0 && high >= 0 ? svg`<line class="axis" x1="0" x2=${w} y1=${down(0)} y2=${down(0)} />` : nothing}
    ${left <= 0 && right >= 0 ? svg`<line class="axis" y1="0" y2=${h} x1=${across(0)} x2=${across(0)} />` : nothing}
    <polyline points=${points} />
    ${seen ? svg`<path class="drop" d=${`M${px} ${h}V${py}H0`} /><circle cx=${px} cy=${py} r="5" />` : nothing}
    <text x="2" y=${h + 14}>${short(left)}</text><text x=${w - 2} y=${h + 14} text-anchor="end">${short(right)}</text></svg>`;
}

/** @type {Family} */
export const pointwise = {
  terms: (laid, place) => [{ at: place, k: [], value: given(laid, place), weight: 1, product: laid.recorded(place) }],
  around: (_, cell) => cell,
  total: (laid, place) => laid.recorded(place),
  sentence,
  middle,
  line: (view) => equals(view, formula(view.laid, given(view.laid, view.place))),
  sign: "→",
  caption: op,
};
