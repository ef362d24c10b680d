// What hands numbers on as they are on the bench: views, crops, padding, turns, and values joined.

import { html, nothing } from "../vendor/lit-html.js";
import { ravel, same, short, unravel } from "../numbers.js";
import { equals, where } from "./family.js";

/** @import { Family, Laid, View } from "./family.js" */

/** Where a place's number stands on the map that comes in; null where it is not of that map. @param {Laid} laid @param {number[]} place */
function from(laid, place) {
  const { shown, out, answer: { family, detail, index } } = laid;
  if (!shown) return null;
  if (family === "concat") {
    const axis = (detail.dim ?? 0) - (index.length - out.shape.length);
    const at = place.map((i, a) => (a === axis ? i - (detail.offset ?? 0) : i));
    return at.every((i, a) => i >= 0 && i < shown.shape[a]) ? at : null;
  }
  const origin = laid.seat("origin")?.numbers[ravel(place, out.shape)] ?? -1;
  return origin < 0 ? null : unravel(origin, shown.shape);
}

/** Where the number of a cell goes, as far as it is known. @param {Laid} laid @param {number[]} cell */
function around(laid, cell) {
  const { shown, out, answer } = laid;
  if (!shown) return cell;
  if (answer.family === "concat") {
    const axis = (answer.detail.dim ?? 0) - (answer.index.length - out.shape.length);
    return cell.map((i, a) => (a === axis ? i + (answer.detail.offset ?? 0) : i));
  }
  const at = laid.seat("origin")?.numbers.indexOf(ravel(cell, shown.shape)) ?? -1;
  return at < 0 ? laid.placeOf(answer.index) : unravel(at, out.shape);
}

/** @param {View} view */
function sentence({ laid, place, terms: [term] }) {
  const made = short(laid.recorded(place));
  const source = laid.net.said(laid.shown?.value ?? -1);
  const { operand } = laid.answer.detail;
  if (!term) return `${made} was put here: it comes from no number of the network.`;
  const spot = where([term.at]);
  if (laid.answer.family === "concat") return `The same number, ${made}, from ${spot} of ${source}, the ${ordinal((operand ?? 0) + 1)} of ${laid.step?.x.length ?? 1} that stand one after the other.`;
  return `The same number, ${made}, from ${spot} of ${source}.`;
}

/** @param {number} n */
const ordinal = (n) => ["first", "second", "third"][n - 1] ?? `${n}th`;

/** @param {View} view */
function middle({ laid }) {
  if (laid.answer.family !== "concat") return html`<p class="soft">the same number</p>`;
  return html`<ol class="operands">${(laid.step?.x ?? []).map((id, i) => html`<li class=${i === laid.answer.detail.operand ? "lit" : "soft"}>${laid.net.title(id)} <span class="soft">${laid.net.shape(id)}</span></li>`)}</ol>`;
}

/** @type {Family} */
export const moving = {
  terms: (laid, place) => {
    const at = from(laid, place);
    const value = at && laid.shown ? laid.shown.numbers[ravel(at, laid.shown.shape)] : NaN;
    return at ? [{ at, k: [], value, weight: 1, product: value }] : [];
  },
  around,
  readers: (laid, cell) => {
    const { shown, out } = laid;
    const place = shown && around(laid, cell);
    if (!shown || !place || !same(from(laid, place), cell)) return [];
    const flat = ravel(cell, shown.shape);
    const origin = laid.seat("origin")?.numbers;
    const places = origin ? Array.from(origin.keys()).filter((i) => origin[i] === flat).map((i) => unravel(i, out.shape)) : [place];
    return places.map((at) => ({ place: at, k: [], weight: 1, product: shown.numbers[flat] }));
  },
  total: (laid, place, [term]) => (term ? term.value : laid.recorded(place)),
  sentence,
  middle,
  line: (view) => equals(view, view.terms.length ? short(view.terms[0].value) : nothing),
  sign: "→",
  caption: (laid) => (laid.answer.family === "concat" ? "one after the other" : laid.step?.op ?? ""),
};
