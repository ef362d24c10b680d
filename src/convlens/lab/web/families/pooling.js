// Pooling on the bench: the largest number of a window, or their mean.

import { html, nothing } from "../vendor/lit-html.js";
import { plural, ravel, same, short, tight } from "../numbers.js";
import { around, readers, taps } from "../parts/windows.js";
import { cellSize, equals, patch, sum, where } from "./family.js";
import { product } from "./windowed.js";

/** @import { Family, Laid, Term, View } from "./family.js" */

const LISTED = 9; // numbers that a line names

/** @param {Laid} laid */
const windows = (laid) => laid.step?.windows ?? [];
/** @param {Laid} laid */
const isMax = (laid) => laid.answer.family === "max_pool";

/** What an average divides by at a place. @param {Laid} laid @param {number[]} place */
export function divisor(laid, place) {
  const { override, counts_padding, padded = [] } = laid.answer.detail;
  if (override) return override;
  return windows(laid).reduce((count, axis, i) => {
    const start = place[i] * axis.stride;
    return count * (counts_padding ? Math.min(start + axis.size, padded[i]) - start : taps(axis, place[i]).filter((t) => t.i !== null).length);
  }, 1);
}

/** @param {Laid} laid @param {number[]} place @returns {Term[]} */
function terms(laid, place) {
  const { shown } = laid;
  if (!shown) return [];
  const found = product(windows(laid).map((axis, i) => taps(axis, place[i]))).map((tap) => {
    const cell = tap.map((t) => t.i);
    const at = cell.some((i) => i === null) ? null : /** @type {number[]} */ (cell);
    return { at, k: tap.map((t) => t.k), value: at ? shown.numbers[ravel(at, shown.shape)] : 0, weight: 0, product: 0, won: false };
  });
  const inside = found.filter((t) => t.at);
  const best = isMax(laid) ? winner(inside) : undefined;
  const share = 1 / divisor(laid, place);
  for (const t of inside) {
    t.won = t === best;
    t.weight = isMax(laid) ? Number(t.won) : share;
    t.product = isMax(laid) ? (t.won ? t.value : 0) : t.value * share;
  }
  return found;
}

/** The first of the largest; what is not a number wins over all. @template {{ value: number }} T @param {T[]} list */
const winner = (list) => list.find((t) => Number.isNaN(t.value)) ?? list.reduce((a, b) => (b.value > a.value ? b : a), list[0]);

/** @param {View} view */
function sentence({ laid, place, terms }) {
  const { net } = laid;
  const inside = terms.filter((t) => t.at);
  const source = net.said(laid.shown?.value ?? -1);
  const all = inside.length === laid.shown?.numbers.length && inside.length > 1;
  const over = `${plural(inside.length, "number")} of ${source}${all ? "" : `, ${where(inside.map((t) => t.at))}`}`;
  const made = laid.recorded(place);
  if (isMax(laid)) {
    const won = inside.find((t) => t.won);
    const at = won?.at ? where([won.at]) : "";
    if (laid.answer.detail.place) return `The place of the largest of ${over}: ${at}, number ${short(made)} of its map.`;
    return `The largest of ${all ? "all " : ""}${over}: ${short(made)}, at ${at}.${inside.length > 1 ? " The others have no part in it." : ""}`;
  }
  const by = divisor(laid, place);
  const border = terms.length > inside.length ? (by === inside.length ? " The border does not count." : ` The border counts as 0: their sum is divided by ${by}.`)
    : by !== inside.length ? ` Their sum is divided by ${by}.` : "";
  return `The mean of ${all ? "all " : ""}${over}: ${short(made)}.${border}`;
}

/** @param {View} view */
function middle(view) {
  const { laid, terms, place } = view;
  if (view.stage.state.way === "feeds") return nothing;
  const lengths = windows(laid).map((axis, i) => taps(axis, place[i]).length);
  const columns = lengths.at(-1) ?? 1;
  const by = divisor(laid, place);
  const share = isMax(laid) ? nothing : html`<p class="each">${terms.length > 1 ? "each " : ""}× <span class="ratio"><span>1</span><span>${by}</span></span></p>`;
  const whole = terms.length > 16 && terms.length === laid.shown?.numbers.length; // the map itself shows them
  if (terms.length > 196 || columns > 16 || whole) return html`<div class="kernel"><p class="soft">${plural(terms.length, "number")}</p>${share}</div>`;
  const blocks = lengths.length === 3 ? lengths[0] : 1;
  const side = cellSize(view, columns, Math.min(blocks, 3));
  const size = terms.length / blocks;
  return html`<div class="kernel"><div class="blocks">${Array.from({ length: blocks }, (_, b) => patch({ ...view, terms: terms.slice(b * size, (b + 1) * size) }, columns, side))}</div>${share}</div>`;
}

/** @param {View} view */
function line(view) {
  const { laid, terms, place, point, strong } = view;
  const inside = terms.filter((t) => t.at);
  const part = (/** @type {Term} */ t) => html`<span class="part ${t.won ? "won" : ""} ${same(strong, t.k) ? "lit" : ""}" @pointerenter=${() => point(t.k)} @pointerleave=${() => point(null)}>${tight(t.value)}</span>`;
  if (isMax(laid)) {
    const sorted = [...inside].sort((a, b) => a.value - b.value);
    const rest = inside.length - LISTED;
    return equals(view, html`${laid.answer.detail.place ? "place of the " : ""}largest of ${rest > 0 ? `${rest} smaller, ` : ""}${sorted.slice(-LISTED).map((t, i) => html`${i ? ", " : ""}${part(t)}`)}`);
  }
  const by = divisor(laid, place);
  const added = inside.length <= LISTED ? html`(${inside.map((t, i) => html`${i ? (t.value < 0 ? " − " : " + ") : t.value < 0 ? "−" : ""}${part({ ...t, value: Math.abs(t.value) })}`)})`
    : html`sum of ${inside.length} numbers ${short(inside.reduce((total, t) => total + t.value, 0))}`;
  return equals(view, html`${added} ÷ ${by}`);
}

/** @param {Laid} laid @param {number[]} cell */
function readersOf(laid, cell) {
  return product(windows(laid).map((axis, i) => readers(axis, cell[i]))).map((tap) => {
    const place = tap.map((t) => t.o);
    const { k, weight, product } = terms(laid, place).find((t) => same(t.at, cell)) ?? { k: tap.map((t) => t.k), weight: 0, product: 0 };
    return { place, k, weight, product };
  });
}

/** @type {Family} */
export const pooling = {
  terms,
  around: (laid, cell) => windows(laid).map((axis, i) => around(axis, cell[i])),
  readers: readersOf,
  total: (laid, _, terms) => {
    const won = terms.find((t) => t.won);
    if (laid.answer.detail.place) return won?.at && laid.shown ? ravel(won.at, laid.shown.shape) : NaN;
    return won ? won.value : sum(terms);
  },
  sentence,
  middle,
  line,
  sign: "→",
  caption: (laid) => (isMax(laid) ? "the largest" : "the mean"),
};
