// A row of weights over a row of numbers on the bench, as the maps that the row was before it was flattened.

import { html } from "../vendor/lit-html.js";
import { largest } from "../colours.js";
import { plural, same, short, unravel } from "../numbers.js";
import { Cells } from "../parts/cells.js";
import { strongest, sum, total } from "./family.js";

/** @import { Family, Laid, Term, View } from "./family.js" */

/** The weights of the place's own row. @param {Laid} laid @param {number[]} place */
function weights(laid, place) {
  const kernel = laid.seat("kernel");
  if (!kernel) return new Float32Array();
  const { shape, numbers } = kernel;
  return shape.length === 2 ? numbers.subarray(place[0] * shape[1], (place[0] + 1) * shape[1]) : numbers;
}

/** @param {Laid} laid @param {number[]} place */
function bias(laid, place) {
  const seat = laid.seat("bias");
  return seat ? (laid.answer.detail.beta ?? 1) * seat.numbers[seat.shape.length ? place[0] : 0] : 0;
}

/** @param {Laid} laid @param {number[]} place @returns {Term[]} */
function terms(laid, place) {
  const { shown } = laid;
  const row = weights(laid, place);
  const { alpha = 1 } = laid.answer.detail;
  return shown ? Array.from(shown.numbers, (value, i) => {
    const at = unravel(i, shown.shape);
    return { at, k: at, value, weight: row[i] * alpha, product: value * row[i] * alpha };
  }) : [];
}

/** @param {View} view */
function sentence({ laid, place, terms }) {
  const { net, answer } = laid;
  const name = net.category(answer.value, place[0]);
  const what = name === null ? `Number ${place[0]} of ${net.said(answer.value)}` : `The score of ${net.told.random ? name : `“${name}”`}`;
  const offset = laid.seat("bias") ? `, plus the bias ${short(bias(laid, place))}` : "";
  return `${what}: all ${plural(terms.length, "number")}, each times its weight${offset}: ${short(laid.recorded(place))}.`;
}

/** Each stage's canvas of weights, and what is on it. @type {WeakMap<import("../stage.js").Stage, { cells: Cells, laid?: Laid, place?: number[], width?: number }>} */
const canvases = new WeakMap();

/** @param {View} view */
function middle({ laid, place, strong, width, stage, point }) {
  const shape = laid.shown?.shape ?? [];
  const drawn = canvases.get(stage) ?? { cells: new Cells("the weights", { over: point, leave: () => point(null) }) };
  canvases.set(stage, drawn);
  if (drawn.laid !== laid || !same(drawn.place ?? null, place) || drawn.width !== width) {
    const wrap = shape.length === 1 && shape[0] > 12 ? Math.ceil(Math.sqrt(shape[0] * 1.4)) : undefined;
    drawn.cells.show({ numbers: weights(laid, place), shape, width, height: width, cell: 40, wrap, span: largest(laid.seat("kernel")?.numbers ?? []) });
    Object.assign(drawn, { laid, place, width });
  }
  drawn.cells.light({ cells: strong ? [strong] : [] });
  return html`<div class="kernel">${drawn.cells.el}</div>`;
}

/** @param {View} view */
function line(view) {
  const { laid, place, terms } = view;
  /** @type {[number, string][]} */
  const parts = [[sum(terms), ""]];
  if (laid.seat("bias")) parts.push([bias(laid, place), "bias"]);
  return html`${strongest(view)}${total(view, parts)}`;
}

/** @type {Family} */
export const linear = {
  terms,
  around: (laid) => laid.placeOf(laid.answer.index),
  lit: (laid, place) => [...terms(laid, place)].sort((a, b) => Math.abs(b.product) - Math.abs(a.product)).slice(0, 9).flatMap(({ at }) => (at ? [at] : [])),
  total: (laid, place, terms) => sum(terms) + bias(laid, place),
  sentence,
  middle,
  line,
  sign: "×",
  caption: () => "weights",
};
