// Resampling on the bench: the cells that a place lies between, and the fraction it takes of each.

import { html, nothing } from "../vendor/lit-html.js";
import { plural, ravel, short, tight } from "../numbers.js";
import { cellSize, patch, products, sum, total, where } from "./family.js";
import { product } from "./windowed.js";

/** @import { Family, Laid, Reader, Term, View } from "./family.js" */

/** The taps of each axis at a place: where they lie, and their fractions. @param {Laid} laid @param {number[]} place */
function taps(laid, place) {
  return laid.seats.filter(({ role }) => role === "taps").map(({ shape: [, count], numbers }, axis) => {
    const begin = place[axis] * count * 2;
    return Array.from({ length: count }, (_, k) => ({ k, i: numbers[begin + 2 * k], weight: numbers[begin + 2 * k + 1] })).filter(({ i }) => i >= 0);
  });
}

/** @param {Laid} laid @param {number[]} place @returns {Term[]} */
function terms(laid, place) {
  const { shown } = laid;
  return shown ? product(taps(laid, place)).map((tap) => {
    const at = tap.map(({ i }) => i);
    const value = shown.numbers[ravel(at, shown.shape)];
    const weight = tap.reduce((all, t) => all * t.weight, 1);
    return { at, k: tap.map(({ k }) => k), value, weight, product: value * weight };
  }) : [];
}

/** @param {Laid} laid @param {number[]} cell @returns {Reader[]} */
function readers(laid, cell) {
  const value = laid.shown?.numbers[ravel(cell, laid.shown.shape)] ?? 0;
  const axes = laid.out.shape.map((count, axis) => Array.from({ length: count }, (_, o) => o).flatMap((o) => {
    const tap = taps(laid, laid.out.shape.map((_, a) => (a === axis ? o : 0)))[axis]?.find(({ i }) => i === cell[axis]);
    return tap ? [{ o, k: tap.k, weight: tap.weight }] : [];
  }));
  return product(axes).map((tap) => {
    const weight = tap.reduce((all, t) => all * t.weight, 1);
    return { place: tap.map((t) => t.o), k: tap.map((t) => t.k), weight, product: weight * value };
  });
}

/** @param {View} view */
function sentence({ laid, place, terms }) {
  const source = laid.net.said(laid.shown?.value ?? -1);
  const made = short(laid.recorded(place));
  if (terms.length === 1 && terms[0].weight === 1) return `The nearest number of ${source}, at ${where([terms[0].at])}: ${made}.`;
  return `This place lies between ${plural(terms.length, "number")} of ${source}, ${where(terms.map((t) => t.at))}. A fraction of each adds up to ${made}.`;
}

/** @param {View} view */
function middle(view) {
  const { laid, place, terms } = view;
  const columns = taps(laid, place).at(-1)?.length ?? 1;
  if (view.stage.state.way === "feeds") return nothing;
  if (columns > 8 || terms.length > 64) return html`<p class="soft">${plural(terms.length, "fraction")}</p>`;
  const alone = view.narrow || columns > 2; // the products name what lies beneath
  const side = cellSize(view, columns, alone ? 1 : 2);
  const fractions = terms.map((t) => html`<div class="weight plain" .style=${`height:${side}px`} @pointerenter=${() => view.point(t.k)} @pointerleave=${() => view.point(null)}>${side >= 26 ? tight(t.weight) : ""}</div>`);
  return html`<div class="kernel"><div class="pair">${alone ? nothing : html`${patch(view, columns, side)}<span class="sign">×</span>`}<div class="weights" .style=${`grid-template-columns:repeat(${columns},${side}px)`}>${fractions}</div></div></div>`;
}

/** @type {Family} */
export const resample = {
  terms,
  around: (laid, cell) => cell.map((i, axis) => Math.min(laid.out.shape[axis] - 1, Math.floor(((i + 0.5) * laid.out.shape[axis]) / (laid.shown?.shape[axis] ?? 1)))),
  readers,
  total: (_, __, terms) => sum(terms),
  sentence,
  middle,
  line: (view) => html`${products(view, taps(view.laid, view.place).at(-1)?.length ?? 1)}${total(view, [[sum(view.terms), ""]])}`,
  sign: "→",
  caption: () => "fractions",
};
