// Normalisation on the bench: a map's spread, and the four numbers that one number becomes in turn.

import { html, nothing, svg } from "../vendor/lit-html.js";
import { ravel, short } from "../numbers.js";
import { equals } from "./family.js";

/** @import { Family, Laid, View } from "./family.js" */

const BARS = 24;

/** What a number becomes: as it comes, less the mean, over the deviation, times the scale, plus the shift. @param {Laid} laid @param {number[]} place */
export function stages(laid, place) {
  const { shown } = laid;
  const at = (/** @type {string} */ role, /** @type {number} */ without) => (laid.seat(role) ? laid.number(role, place) : without);
  const [mean, deviation, scale, shift] = [at("mean", 0), at("deviation", 1), at("scale", 1), at("shift", 0)];
  const x = shown ? shown.numbers[ravel(place, shown.shape)] : NaN;
  const centred = x - mean;
  const standard = centred / deviation;
  return { x, mean, deviation, scale, shift, centred, standard, scaled: standard * scale, made: standard * scale + shift };
}

/** @param {View} view */
function sentence({ laid, place }) {
  const { mean, deviation, x, standard } = stages(laid, place);
  const far = Math.abs(standard);
  const less = laid.seat("mean") ? `${short(x)} lies ${short(far)} deviations ${standard < 0 ? "below" : "above"} the mean ${short(mean)}` : `${short(x)} is ${short(far)} times the usual size ${short(deviation)}`;
  const more = ["scale", "shift"].filter((role) => laid.seat(role)).map((role) => `its ${role}`);
  return `${less}. ${more.length ? `With ${more.join(" and ")} it becomes ${short(laid.recorded(place))}.` : "That is what it becomes."}`;
}

/** The numbers of the map that comes in, counted; its mean and its deviation on either side. @param {View} view */
function histogram({ laid, place, width }) {
  const numbers = laid.shown?.numbers.filter(Number.isFinite) ?? new Float32Array();
  const { mean, deviation, x } = stages(laid, place);
  let [low, high] = [Math.min(mean - deviation, x), Math.max(mean + deviation, x)].map((v) => (Number.isFinite(v) ? v : 0));
  for (const v of numbers) { if (v < low) low = v; if (v > high) high = v; }
  const counts = new Array(BARS).fill(0);
  for (const v of numbers) counts[Math.min(BARS - 1, Math.floor(((v - low) / (high - low || 1)) * BARS))]++;
  const most = Math.max(1, ...counts);
  const [w, h] = [Math.min(width, 260), 96];
  const across = (/** @type {number} */ v) => ((v - low) / (high - low || 1)) * w;
  const bar = (/** @type {number} */ v, /** @type {string} */ name) => svg`<line class=${name} x1=${across(v)} x2=${across(v)} y1="0" y2=${h} />`;
  return html`<svg class="curve" width=${w} height=${h + 18} role="img" aria-label=${`the map's numbers, with mean ${short(mean)} and deviation ${short(deviation)}`}>
    ${counts.map((n, i) => svg`<rect x=${(i * w) / BARS} width=${w / BARS - 1} y=${h - (n / most) * h} height=${(n / most) * h} />`)}
    ${bar(mean, "mean")}<path class="reach" d=${`M${across(mean - deviation)} ${h - 6}v6h${across(mean + deviation) - across(mean - deviation)}v-6`} />
    <circle cx=${across(x)} cy=${h - 5} r="5" /><text x="0" y=${h + 14}>${short(low)}</text><text x=${w} y=${h + 14} text-anchor="end">${short(high)}</text></svg>`;
}

/** @param {View} view */
function middle(view) {
  const { laid, place } = view;
  const s = stages(laid, place);
  /** @type {[string, string, number, number][]} */
  const steps = [["mean", "− mean", s.mean, s.centred], ["deviation", "÷ deviation", s.deviation, s.standard], ["scale", "× scale", s.scale, s.scaled], ["shift", "+ shift", s.shift, s.made]];
  return html`<div class="kernel flat">${laid.shown ? histogram(view) : nothing}
    <ol class="ruler"><li><span></span><b>${short(s.x)}</b></li>${steps.filter(([role]) => laid.seat(role)).map(([, name, by, made]) => html`<li><span>${name} <span class="soft">${short(by)}</span></span><b>${short(made)}</b></li>`)}</ol></div>`;
}

/** @param {View} view */
function line(view) {
  const { laid, place } = view;
  const { x, mean, deviation, scale, shift } = stages(laid, place);
  const wrapped = (/** @type {number} */ v) => (v < 0 ? `(${short(v)})` : short(v));
  return equals(view, html`${laid.seat("mean") ? `(${short(x)} ${mean < 0 ? "+" : "−"} ${short(Math.abs(mean))})` : short(x)} ÷ ${short(deviation)}${laid.seat("scale") ? ` × ${wrapped(scale)}` : ""}${
    laid.seat("shift") ? ` ${shift < 0 ? "−" : "+"} ${short(Math.abs(shift))}` : ""}`);
}

/** @type {Family} */
export const norm = {
  terms: (laid, place) => {
    const { x, deviation, scale, made } = stages(laid, place);
    return [{ at: place, k: [], value: x, weight: scale / deviation, product: made }];
  },
  around: (_, cell) => cell,
  total: (laid, place) => stages(laid, place).made,
  sentence,
  middle,
  line,
  sign: "→",
  caption: (laid) => laid.step?.op.replaceAll("_", " ") ?? "",
};
