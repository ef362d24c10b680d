// Windows without weights of their own on the bench: the largest number or the mean of a pooling, the fractions of a resampling.

import { html, nothing } from "../vendor/lit-html.js";
import { plural, ravel, short, tight } from "../numbers.js";
import { taps } from "../parts/windows.js";
import { added, cellSize, combined, equals, family, grid, inside, patch, products, ratio, sliding, spot, sum, total, where, window } from "./family.js";

const LISTED = 9; // numbers that a line names

/** @param {Laid} laid */
const isMax = ({ family }) => family === "max_pool";

/** @param {Laid} laid @param {number[]} place */
const tapsOf = ({ windows }, place) => windows.map((axis, i) => taps(axis, place[i]));

/** What an average divides by at a place. @param {Laid} laid @param {number[]} place */
function divisor({ windows, answer: { detail: { override, counts_padding, padded = [] } } }, place) {
  return override || windows.reduce((count, axis, i) => {
    const start = place[i] * axis.stride;
    return count * (counts_padding ? Math.min(start + axis.size, padded[i]) - start : taps(axis, place[i]).filter((t) => t.i !== null).length);
  }, 1);
}

/** @param {Laid} laid @param {number[]} place */
function terms(laid, place) {
  const share = 1 / divisor(laid, place), found = window(laid.shown, tapsOf(laid, place), () => share), on = inside(found);
  // The first of the largest; what is not a number wins over all.
  const best = isMax(laid) && (on.find((t) => Number.isNaN(t.value)) ?? on.reduce((a, b) => (b.value > a.value ? b : a), on[0]));
  return found.map((t) => {
    if (!t.at) return { ...t, weight: 0, product: 0 };
    return best ? { ...t, won: t === best, weight: Number(t === best), product: t === best ? t.value : 0 } : t;
  });
}

/** @param {View} view */
function sentence({ laid, place, terms, made }) {
  const on = inside(terms), all = on.length === laid.shown?.numbers.length && on.length > 1;
  const over = `${plural(on.length, "number")} of ${laid.source}${all ? "" : `, ${where(on.map((t) => t.at))}`}`;
  if (isMax(laid)) {
    const at = where(on.filter((t) => t.won).map((t) => t.at));
    if (laid.answer.detail.place) return `The place of the largest of ${over}: ${at}, number ${short(made)} of its map.`;
    return `The largest of ${all ? "all " : ""}${over}: ${short(made)}, at ${at}.${on.length > 1 ? " The others have no part in it." : ""}`;
  }
  const by = divisor(laid, place), divides = by !== on.length;
  const border = terms.length === on.length ? (divides ? ` Their sum is divided by ${by}.` : "") : divides ? ` The border counts as 0: their sum is divided by ${by}.` : " The border does not count.";
  return `The mean of ${all ? "all " : ""}${over}: ${short(made)}.${border}`;
}

/** @param {View} view */
function middle(view) {
  const { laid, terms, place } = view, lengths = tapsOf(laid, place).map((list) => list.length), columns = lengths.at(-1) ?? 1, by = divisor(laid, place);
  if (view.stage.state.way === "feeds") return nothing;
  const share = isMax(laid) ? nothing : html`<p class="each">${terms.length > 1 ? "each " : ""}× ${ratio(1, by)}</p>`;
  const whole = terms.length > 16 && terms.length === laid.shown?.numbers.length; // the map itself shows them
  const frames = lengths.length === 3 ? lengths[0] : 1, many = terms.length > 196 || columns > 16 || whole;
  return html`<div class="kernel">${many ? html`<p class="soft">${plural(terms.length, "number")}</p>` : patch(view, columns, cellSize(view, columns, Math.min(frames, 3)), frames)}${share}</div>`;
}

/** @param {View} view */
function line(view) {
  const { laid, terms, place } = view, on = inside(terms), rest = on.length - LISTED;
  const part = (/** @type {Term} */ t, /** @type {number} */ value) => spot(view, t.k, `part ${t.won ? "won" : ""}`, tight(value));
  if (isMax(laid)) {
    const sorted = [...on].sort((a, b) => a.value - b.value).slice(-LISTED);
    return equals(view, html`${laid.answer.detail.place ? "place of the " : ""}largest of ${rest > 0 ? `${rest} smaller, ` : ""}${sorted.map((t, i) => html`${i ? ", " : ""}${part(t, t.value)}`)}`);
  }
  const all = rest > 0 ? `sum of ${on.length} numbers ${short(on.reduce((total, t) => total + t.value, 0))}`
    : html`(${on.map((t, i) => html`${added(t.value, i, () => "")}${part(t, Math.abs(t.value))}`)})`;
  return equals(view, html`${all} ÷ ${divisor(laid, place)}`);
}

export const pooling = family({
  terms,
  total: ({ answer, shown }, _, terms) => {
    const won = terms.find((t) => t.won);
    if (answer.detail.place) return won?.at && shown ? ravel(won.at, shown.shape) : NaN;
    return won ? won.value : sum(terms);
  },
  ...sliding, sentence, middle, line, caption: (laid) => (isMax(laid) ? "the largest" : "the mean"),
});

/** The taps of each axis of a resampling at a place: where they lie, and their fractions. @param {Laid} laid @param {number[]} place */
const fractions = ({ seats }, place) => seats.filter(({ role }) => role === "taps").map(({ shape: [, count], numbers }, axis) => {
  const at = (/** @type {number} */ k) => 2 * (place[axis] * count + k);
  return Array.from({ length: count }, (_, k) => ({ k, i: numbers[at(k)], weight: numbers[at(k) + 1] })).filter(({ i }) => i >= 0);
});

export const resample = family({
  terms: (laid, place) => window(laid.shown, fractions(laid, place), (_, taps) => taps.reduce((all, { weight }) => all * weight, 1)),
  around: ({ out, shown }, cell) => cell.map((i, axis) => Math.min(out.shape[axis] - 1, Math.floor(((i + 0.5) * out.shape[axis]) / (shown?.shape[axis] ?? 1)))),
  readers: (laid, cell) => combined(laid.out.shape.map((count, axis, { length }) => Array.from({ length: count }, (_, o) => o)
    .filter((o) => fractions(laid, Array(length).fill(o))[axis].some(({ i }) => i === cell[axis])))),
  sentence: ({ laid, terms, made }) => {
    const at = where(terms.map((t) => t.at));
    if (terms.length === 1 && terms[0].weight === 1) return `The nearest number of ${laid.source}, at ${at}: ${short(made)}.`;
    return `This place lies between ${plural(terms.length, "number")} of ${laid.source}, ${at}. A fraction of each adds up to ${short(made)}.`;
  },
  middle: (view) => {
    const { terms } = view, columns = fractions(view.laid, view.place).at(-1)?.length ?? 1, alone = view.narrow || columns > 2; // the products name what lies beneath
    if (view.stage.state.way === "feeds") return nothing;
    if (columns > 8 || terms.length > 64) return html`<p class="soft">${plural(terms.length, "fraction")}</p>`;
    const side = cellSize(view, columns, alone ? 1 : 2);
    return html`<div class="kernel"><div class="pair">${alone ? nothing : html`${patch(view, columns, side)}<span class="sign">×</span>`}${
      grid(terms.map((t) => spot(view, t.k, "weight plain", side >= 26 ? tight(t.weight) : "")), columns, side)}</div></div>`;
  },
  line: (view) => html`${products(view, fractions(view.laid, view.place).at(-1)?.length ?? 1)}${total(view, [[sum(view.terms), ""]])}`,
  caption: () => "fractions",
});
