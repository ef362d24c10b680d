// Convolution and transposed convolution on the bench: a kernel of weights over a window.

import { html, nothing } from "../vendor/lit-html.js";
import { controls, editable } from "../change.js";
import { colour, css, ink, largest } from "../colours.js";
import { plural, ravel, same, short, tight, unravel } from "../numbers.js";
import { around, readers, taps } from "../parts/windows.js";
import { cellSize, chip, patch, products, sum, total, where } from "./family.js";

/** @import { Family, Laid, Reader, Term, View } from "./family.js" */
/** @import { Seat } from "../laid.js" */

/** Return every combination of one entry of each list. @template T @param {T[][]} lists @returns {T[][]} */
export function product(lists) {
  return lists.reduce((/** @type {T[][]} */ made, list) => made.flatMap((head) => list.map((each) => [...head, each])), [[]]);
}

/** @param {Laid} laid */
const axesOf = (laid) => laid.step?.windows ?? [];

/** The kernel's slice that lies on an input map. @param {Laid} laid @param {number} [channel] among those of the group */
export function slice(laid, channel = laid.inGroup) {
  const kernel = /** @type {Seat} */ (laid.seat("kernel"));
  const shape = kernel.shape.slice(1);
  const size = shape.reduce((a, b) => a * b, 1);
  return { shape, numbers: kernel.numbers.subarray(channel * size, (channel + 1) * size) };
}

/** @param {Laid} laid @param {number[]} place @param {Seat | undefined} seat @param {number} [channel] @returns {Term[]} */
function termsOn(laid, place, seat, channel) {
  if (!seat) return [];
  const { shape, numbers } = slice(laid, channel);
  return product(axesOf(laid).map((axis, i) => taps(axis, place[i]))).map((tap) => {
    const k = tap.map((t) => t.k);
    const cell = tap.map((t) => t.i);
    const at = cell.some((i) => i === null) ? null : /** @type {number[]} */ (cell);
    const value = at ? seat.numbers[ravel(at, seat.shape)] : 0;
    const weight = numbers[ravel(k, shape)];
    return { at, k, value, weight, product: value * weight };
  });
}

/** The sums that were asked for last. @type {{ laid: Laid | null, place: number[], sums: [number, number][] }} */
let latest = { laid: null, place: [], sums: [] };

/** The sum of each input map's products, the strongest first, where all maps are known. @param {Laid} laid @param {number[]} place */
export function channelSums(laid, place) {
  if (latest.laid !== laid || !same(latest.place, place)) latest = { laid, place, sums: sumsOf(laid, place) };
  return latest.sums;
}

/** @param {Laid} laid @param {number[]} place @returns {[number, number][]} */
function sumsOf(laid, place) {
  const seat = laid.seat("in");
  const kernel = laid.seat("kernel");
  if (!seat || !kernel || !laid.hasAll) return laid.answer.channels;
  const shape = seat.shape.slice(1);
  const size = shape.reduce((a, b) => a * b, 1);
  const first = (laid.channel ?? 0) - laid.inGroup;
  const found = Array.from({ length: kernel.shape[0] }, (_, c) => /** @type {[number, number]} */ ([
    first + c, sum(termsOn(laid, place, { ...seat, shape, numbers: seat.numbers.subarray(c * size, (c + 1) * size) }, c)),
  ]));
  return found.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
}

/** How many products land on each place of a transposed convolution's output. @param {Laid} laid */
export function landings(laid) {
  const counts = axesOf(laid).map((axis) => Array.from({ length: axis.outputs }, (_, o) => taps(axis, o).length));
  return Float32Array.from(product(counts), (list) => list.reduce((a, b) => a * b, 1));
}

/** Where the window lies, its cells beyond the edge included. @param {Laid} laid @param {number[]} place */
function lit(laid, place) {
  const axes = axesOf(laid);
  if (axes[0].transposed) return termsOn(laid, place, laid.shown).flatMap(({ at }) => (at ? [at] : []));
  return product(axes.map((axis, i) => Array.from({ length: axis.size }, (_, k) => place[i] * axis.stride - axis.before + k * axis.dilation)));
}

/** @param {View} view */
function sentence({ laid, place, terms }) {
  const { net, step } = laid;
  const source = laid.shown?.value ?? -1;
  const kernel = /** @type {Seat} */ (laid.seat("kernel"));
  const bias = laid.seat("bias") ? laid.number("bias") : null;
  const made = laid.recorded(place);
  const products = made - (bias ?? 0);
  const map = laid.out.at.at(-1) ?? 0;
  const maps = kernel.shape[0];
  if (step?.family === "transposed") {
    const size = kernel.shape.slice(1).reduce((a, b) => a * b, 1);
    const inside = terms.filter((t) => t.at);
    const land = inside.length === 1 ? "One lands" : inside.length ? `${inside.length} land` : "None lands";
    return `Every number of ${net.said(source)} is spread over ${plural(size, "place")}, once for each weight. ${land} here${inside.length ? `, from ${where(inside.map((t) => t.at))}` : ""}${
      bias === null ? "" : `, plus the bias ${short(bias)}`}: ${short(made)}.`;
  }
  const over = maps > 1 ? `, in each of ${maps} maps` : "";
  const count = terms.length * maps;
  const beyond = terms.filter((t) => t.at === null).length;
  const border = beyond ? ` ${plural(beyond, "place")} of it ${beyond === 1 ? "lies" : "lie"} beyond the edge and count${beyond === 1 ? "s" : ""} 0.` : "";
  const added = count === 1 ? `the product is ${short(products)}` : `the ${plural(count, "product")} add up to ${short(products)}`;
  return `Kernel ${map} lies on ${where(terms.map((t) => t.at))} of ${net.said(source)}${over}. Every number is multiplied by the weight on it; ${added}${
    bias === null ? "." : `, with the bias ${short(bias)} to ${short(made)}.`}${border}`;
}

/** @param {View} view */
function middle(view) {
  const { laid, terms, strong, small, narrow, stage, point } = view;
  const { shape, numbers } = slice(laid);
  const all = /** @type {Seat} */ (laid.seat("kernel"));
  const most = largest(all.numbers) || 1;
  const columns = shape.at(-1) ?? 1;
  const blocks = shape.length === 3 ? shape[0] : 1;
  const flat = shape.length === 1;
  const many = small && !narrow && columns > 1 && columns <= 7 && blocks === 1 && laid.step?.family === "conv";
  const side = cellSize(flat && narrow ? { ...view, width: stage.room } : view, columns, many && !flat ? 2 : Math.min(blocks, 3));
  const used = new Set(terms.map((t) => String(t.k)));
  const transposed = laid.step?.family === "transposed";
  const weight = laid.step?.weight ?? null;
  const name = weight === null ? "" : laid.net.value(weight).name;
  const at = (/** @type {number[]} */ k) => (transposed ? [laid.channel ?? 0, laid.out.at.at(-1) ?? 0, ...k] : [laid.out.at.at(-1) ?? 0, laid.inGroup, ...k]);
  const cell = (/** @type {number} */ i) => {
    const k = unravel(i, shape);
    const x = numbers[i];
    const rgb = colour(x, most);
    const classes = `weight ${same(strong, k) ? "lit" : ""} ${transposed && !used.has(String(k)) ? "unused" : ""} ${stage.isSet(name, at(k)) ? "changed" : ""}`;
    return html`<div class=${classes} .style=${`height:${side}px;background:${css(rgb)};color:${ink(rgb)}`} role="spinbutton" tabindex="0"
      aria-label="weight ${k.join(", ")}" aria-valuetext=${short(x)} aria-valuenow=${x} title="Drag up or down, or use the arrow keys, to change this weight"
      @pointerenter=${() => point(k)} @pointerleave=${() => point(null)} @focus=${() => point(k)}
      @keydown=${editable.key(stage, name, at(k), x, most)} @pointerdown=${editable.drag(stage, name, at(k), x, most)} @dblclick=${() => stage.restoreNumber(name, at(k))}>${side >= 26 ? tight(x) : ""}</div>`;
  };
  const size = numbers.length / blocks;
  const land = html`<button type="button" class="chip" aria-pressed=${stage.bench.counts} @click=${() => stage.bench.count(!stage.bench.counts)}>how many land</button>`;
  return html`<div class="kernel ${flat ? "flat" : ""}">
    ${many ? html`<div class="pair ${flat ? "flat" : ""}">${patch(view, columns, side)}<span class="sign">×</span><div class="weights" .style=${`grid-template-columns:repeat(${columns},${side}px)`}>${Array.from(numbers, (_, i) => cell(i))}</div></div>`
    : html`<div class="blocks">${Array.from({ length: blocks }, (_, b) => html`<div class="weights" .style=${`grid-template-columns:repeat(${columns},${side}px)`}>
        ${Array.from({ length: size }, (_, i) => cell(b * size + i))}</div>`)}</div>`}
    ${laid.seat("bias") ? bias(view) : nothing}${transposed ? land : nothing}${controls(stage, laid)}</div>`;
}

/** @param {View} view */
function bias({ laid, stage }) {
  const id = laid.step?.bias ?? null;
  const name = id === null ? "" : laid.net.value(id).name;
  const index = [laid.out.at.at(-1) ?? 0];
  const x = laid.number("bias");
  const most = Math.max(Math.abs(x), 1);
  return html`<div class="bias soft">bias <div class="weight ${stage.isSet(name, index) ? "changed" : ""}" role="spinbutton" tabindex="0" aria-label="bias" aria-valuetext=${short(x)} aria-valuenow=${x}
    @keydown=${editable.key(stage, name, index, x, most)} @pointerdown=${editable.drag(stage, name, index, x, most)} @dblclick=${() => stage.restoreNumber(name, index)}>${short(x)}</div></div>`;
}

/**
 * Show at once what a changed weight or bias does to the map; return whether it is one of these.
 * @param {Laid} laid @param {import("../state.js").SetNumber} change
 */
function preview(laid, { at, index, to }) {
  const { step, net, out, shown } = laid;
  latest.laid = null;
  if (!step) return false;
  const name = (/** @type {number | null} */ id) => (id === null ? "" : net.value(id).name);
  const map = out.at.at(-1) ?? 0;
  if (at === name(step.bias) && index[0] === map) {
    const seat = /** @type {Seat} */ (laid.seat("bias"));
    const by = to - seat.numbers[0];
    seat.numbers[0] = to;
    out.numbers.forEach((x, i) => { out.numbers[i] = x + by; });
    return true;
  }
  const [own, channel] = step.family === "transposed" ? [index[1], index[0]] : [index[0], index[1]];
  const here = step.family === "transposed" ? (laid.channel ?? 0) : laid.inGroup;
  if (at !== name(step.weight) || own !== map || channel !== here || !shown) return false;
  const { shape, numbers } = slice(laid);
  const k = index.slice(2);
  const by = to - numbers[ravel(k, shape)];
  numbers[ravel(k, shape)] = to;
  for (let i = 0; i < out.numbers.length; i++) {
    const place = unravel(i, out.shape);
    const cell = step.windows.map((axis, a) => taps(axis, place[a]).find((t) => t.k === k[a])?.i ?? null);
    if (!cell.includes(null)) out.numbers[i] += by * shown.numbers[ravel(/** @type {number[]} */ (cell), shown.shape)];
  }
  return true;
}

/** @param {View} view */
function line(view) {
  const { laid, place, terms } = view;
  const shape = slice(laid).shape;
  const columns = laid.step?.family === "transposed" ? Math.max(1, new Set(terms.map((t) => t.k.at(-1))).size) : shape.at(-1) ?? 1;
  const made = laid.recorded(place);
  const here = sum(terms);
  const offset = laid.seat("bias") ? laid.number("bias") : null;
  const kernel = /** @type {Seat} */ (laid.seat("kernel"));
  /** @type {[number, string][]} */
  const parts = [[here, ""]];
  if (kernel.shape[0] > 1) parts.push([made - (offset ?? 0) - here, kernel.shape[0] === 2 ? "the other map" : `${kernel.shape[0] - 1} other maps`]);
  if (offset !== null) parts.push([offset, "bias"]);
  return html`${products(view, columns)}${total(view, parts)}`;
}

/** @param {Laid} laid @param {number[]} cell */
function readersOf(laid, cell) {
  const { shape, numbers } = slice(laid);
  const value = laid.shown ? laid.shown.numbers[ravel(cell, laid.shown.shape)] : 0;
  return product(axesOf(laid).map((axis, i) => readers(axis, cell[i]))).map((tap) => {
    const k = tap.map((t) => t.k);
    const weight = numbers[ravel(k, shape)];
    return { place: tap.map((t) => t.o), k, weight, product: weight * value };
  });
}

/** What an input cell feeds, as a line. @param {View} view @param {Reader[]} fed */
export function feedsLine({ stage, laid }, fed) {
  const most = largest(fed.map((f) => f.product)) || 1;
  return html`<div class="products" .style=${"--k:3"}>${fed.slice(0, 9).map((f) => html`<button type="button" class="term" @click=${() => stage.go({ index: [...laid.out.at, ...f.place], way: "made", from: null })}>
    <span class="factors">× ${tight(f.weight)}</span><i class="equals">=</i>${chip(f.product, most)}<i>→ ${f.place.join(", ")}</i></button>`)}</div>
    ${fed.length > 9 ? html`<p class="rest">and ${plural(fed.length - 9, "other place")}</p>` : nothing}`;
}

/** @type {Family} */
export const windowed = {
  terms: (laid, place) => termsOn(laid, place, laid.shown),
  around: (laid, cell) => axesOf(laid).map((axis, i) => around(axis, cell[i])),
  lit,
  readers: readersOf,
  total: (laid, place, terms) => {
    const bias = laid.seat("bias") ? laid.number("bias") : 0;
    return bias + (laid.hasAll ? sum(channelSums(laid, place).map(([, product]) => ({ product }))) : sum(terms));
  },
  sentence,
  middle,
  line,
  preview,
  sign: "×",
  caption: () => "kernel",
};
