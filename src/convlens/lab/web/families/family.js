// What every family of steps shares on the bench: products as a line, sums written out, cells of a kernel.

import { html, nothing } from "../vendor/lit-html.js";
import { colour, css, ink, largest, shades } from "../colours.js";
import { axisNames } from "../net.js";
import { full, same, short, tight } from "../numbers.js";

/**
 * @typedef {import("../laid.js").Laid} Laid
 * @typedef {import("../laid.js").Term} Term
 * @typedef {import("../vendor/lit-html.js").TemplateResult} Template
 *
 * What a family draws from: the seats, the place of the output, its terms, and what is pointed at.
 * @typedef {object} View
 * @property {Laid} laid
 * @property {number[]} place
 * @property {Term[]} terms
 * @property {number} own what the terms come to, as the page computes it
 * @property {number[] | null} strong the kernel's position that is pointed at
 * @property {number[] | null} from the input cell that leads, when the way is "feeds"
 * @property {boolean} small whether the maps are too small for numbers in their cells
 * @property {number} width of the middle seat at most, in pixels
 * @property {boolean} narrow whether the seats are stacked
 * @property {import("../stage.js").Stage} stage
 * @property {(k: number[] | null) => void} point
 *
 * A reader of an input cell: the place that reads it, and under which kernel position.
 * @typedef {{ place: number[], k: number[], weight: number, product: number }} Reader
 *
 * @typedef {object} Family
 * @property {(laid: Laid, place: number[]) => Term[]} terms what a number is made of, on the shown map
 * @property {(laid: Laid, cell: number[]) => number[]} around the place whose window lies around an input cell
 * @property {(laid: Laid, place: number[]) => number[][]} [lit] the cells of the input that light up; those of the terms when missing
 * @property {(laid: Laid, cell: number[]) => Reader[]} [readers] the places that an input cell feeds
 * @property {(laid: Laid, place: number[], terms: Term[]) => number} total what the terms come to, as the page computes it
 * @property {(view: View) => string} sentence
 * @property {(view: View) => Template | string | typeof nothing} middle
 * @property {(view: View) => Template | typeof nothing} line
 * @property {(laid: Laid, change: import("../state.js").SetNumber) => boolean} [preview] shows a change at once, and says whether it could
 * @property {string | ((laid: Laid) => string)} sign between the input and what follows
 * @property {(laid: Laid) => string} caption of the middle
 */

/** Return the sum of products. @param {{ product: number }[]} terms */
export const sum = (terms) => terms.reduce((total, { product }) => total + product, 0);

/** A product in its colour. @param {number} x @param {number} most */
export function chip(x, most) {
  const rgb = colour(x, most);
  return html`<span class="product" .style=${`background:${css(rgb)};color:${ink(rgb)}`}>${tight(x)}</span>`;
}

/** One product, written out; its exact numbers are in its title. @param {View} view @param {Term} term @param {number} most */
export function product({ strong, point }, term, most) {
  return html`<span class="term ${same(strong, term.k) ? "lit" : ""} ${term.at === null ? "edge" : ""}" title=${written(term)}
      @pointerenter=${() => point(term.k)} @pointerleave=${() => point(null)}>
    <span class="factors">${tight(term.value)}<i> × </i>${tight(term.weight)}</span><i class="equals">=</i>${chip(term.product, most)}</span>`;
}

/** A product with every digit. @param {Pick<Term, "value" | "weight" | "product">} term */
export const written = ({ value, weight, product }) => `${exact(value)} × ${exact(weight)} = ${product}`;

/** Every digit of a number; of one that float32 holds, those of float32. @param {number} x */
export const exact = (x) => full(x, Math.fround(x) === x ? "float32" : "float64");

/** The nine strongest products, and the sum of the others. @param {View} view */
export function strongest(view) {
  const { terms } = view;
  const top = [...terms].sort((a, b) => Math.abs(b.product) - Math.abs(a.product)).slice(0, 9);
  const rest = terms.length - top.length;
  const most = largest(top.map((t) => t.product)) || 1;
  return html`<div class="products" .style=${"--k:3"}>${top.map((term) => product(view, term, most))}</div>
    ${rest ? html`<p class="rest">${short(sum(top))} and the other ${rest}: ${short(sum(terms) - sum(top))}</p>` : nothing}`;
}

/**
 * Products in rows as the kernel has them, each row with its sum; only the strongest where they are many.
 * @param {View} view @param {number} columns
 */
export function products(view, columns) {
  const { terms } = view;
  if (terms.length > 81 || columns > 9) return strongest(view);
  const most = largest(terms.map((t) => t.product)) || 1;
  if (columns > 3) {
    const lit = terms.find((t) => same(view.strong, t.k));
    return html`<div class="products compact" .style=${`--k:${columns}`}>${terms.map((term) => html`<span class="term ${same(view.strong, term.k) ? "lit" : ""} ${term.at ? "" : "edge"}" title=${written(term)}
      @pointerenter=${() => view.point(term.k)} @pointerleave=${() => view.point(null)}>${chip(term.product, most)}</span>`)}</div>
      <p class="rest">${lit ? html`${short(lit.value)} × ${short(lit.weight)} = <b>${short(lit.product)}</b>` : "Point at a product to see its factors."}</p>`;
  }
  const rows = Array.from({ length: Math.ceil(terms.length / columns) }, (_, i) => terms.slice(i * columns, (i + 1) * columns));
  return html`<div class="products rows" .style=${`--k:${columns}`}>${rows.map((row) => html`${row.map((term) => product(view, term, most))}
    <span class="sum">${columns > 1 ? `= ${short(sum(row))}` : nothing}</span>`)}</div>`;
}

/** A sum with the names of its parts: `1.502 + 0.1750 bias = 1.677`. @param {View} view @param {[number, string][]} parts */
export function total(view, parts) {
  if (parts.length === 1) return equals(view, view.terms.length === 1 ? "the product" : `the sum of ${view.terms.length} products`);
  return equals(view, html`${parts.map(([x, name], i) => html`<span class=${i ? "soft" : ""}>${i ? (x < 0 ? " − " : " + ") : ""}${short(i ? Math.abs(x) : x)}${name ? ` ${name}` : ""}</span>`)}`);
}

/** A formula with its numbers, and the number that the network computed. @param {View} view @param {unknown} formula nothing where there is none */
export function equals({ stage, laid, place, own }, formula) {
  const made = laid.recorded(place);
  return html`<p class="total">${formula}${formula === nothing ? nothing : " = "}<b title=${`${exact(made)}, computed here as ${own}`}>${short(made)}</b>${stage.changes.difference(laid, place)}</p>`;
}

/** The pixels of a cell in the middle. @param {View} view @param {number} columns @param {number} [beside] */
export function cellSize({ width, narrow }, columns, beside = 1) {
  return Math.max(14, Math.min(narrow ? 44 : 56, Math.floor((width - 24 * (beside - 1)) / beside / columns)));
}

/** What lies under the window, as cells of the middle; chosen ones framed. @param {View} view @param {number} columns @param {number} side */
export function patch({ laid, terms, strong, point }, columns, side) {
  const counts = laid.seat("kernel") || laid.answer.detail.counts_padding;
  const shade = shades(laid.shown?.numbers ?? [], laid.net.isPicture(laid.shown?.value ?? -1));
  return html`<div class="weights" .style=${`grid-template-columns:repeat(${columns},${side}px)`} aria-hidden="true">${terms.map((t) => {
    const rgb = shade(t.value);
    return html`<div class="weight plain ${t.at ? "" : "edge"} ${t.won ? "won" : ""} ${same(strong, t.k) ? "lit" : ""}" .style=${t.at ? `height:${side}px;background:${css(rgb)};color:${ink(rgb)}` : `height:${side}px`}
      @pointerenter=${() => point(t.k)} @pointerleave=${() => point(null)}>${side >= 26 && (t.at || counts) ? tight(t.value) : ""}</div>`;
  })}</div>`;
}

/** A value in a sentence, with its map where it has several: "map 3 of conv1". @param {Laid} laid @param {import("../laid.js").Seat | undefined} [seat] */
export function said({ net, out }, seat) {
  const { value, at } = seat ?? out;
  const map = value === null ? "" : net.map(value, at.at(-1) ?? 0);
  return `${map ? `${map} of ` : ""}${value === null ? "the input" : net.said(value)}`;
}

/** Return rows and columns in words: "rows 5–7, columns 3–5", "rows 1, 3 and 5". @param {(number[] | null)[]} cells */
export function where(cells) {
  const inside = cells.filter((cell) => cell !== null);
  if (!inside.length) return "nothing but border";
  const names = axisNames(inside[0].length);
  return names.map((name, axis) => {
    const at = [...new Set(inside.map((cell) => cell[axis]))].sort((a, b) => a - b);
    const last = at[at.length - 1];
    if (at.length === 1) return `${name} ${at[0]}`;
    if (last - at[0] === at.length - 1) return `${name}s ${at[0]}–${last}`;
    return `${name}s ${at.slice(0, -1).join(", ")} and ${last}`;
  }).join(", ");
}
