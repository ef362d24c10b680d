// What every family of steps shares on the bench: products as a line, sums written out, cells of a kernel.

import { html, nothing, svg } from "../vendor/lit-html.js";
import { colour, css, ink, largest, shades } from "../colours.js";
import { axisNames } from "../net.js";
import { full, plural, ravel, same, short, tight } from "../numbers.js";
import { around, readers } from "../parts/windows.js";

/** Return a family with what most have in common. @param {Partial<Family> & Pick<Family, "terms" | "sentence">} own @returns {Family} */
export const family = (own) => ({
  total: (_, __, terms) => sum(terms), around: (_, cell) => cell, lit: (_, __, terms) => inside(terms).map(({ at }) => at),
  middle: () => nothing, line: (view) => equals(view, nothing), sign: () => "→", caption: ({ op }) => op.replaceAll("_", " "), ...own,
});

/** Return the sum of products. @param {{ product: number }[]} terms */
export const sum = (terms) => terms.reduce((total, { product }) => total + product, 0);

/** Return the terms that lie on the map. @param {Term[]} terms */
export const inside = (terms) => /** @type {(Term & { at: number[] })[]} */ (terms.filter(({ at }) => at));

/** Return the strongest terms, and how many there are besides. @param {Term[]} terms @returns {[Term[], number]} */
export const strongest = (terms, most = 9) => [[...terms].sort((a, b) => Math.abs(b.product) - Math.abs(a.product)).slice(0, most), Math.max(0, terms.length - most)];

/** Return every combination of one entry of each list. @template T @param {T[][]} lists @returns {T[][]} */
export const combined = (lists) => lists.reduce((/** @type {T[][]} */ made, list) => made.flatMap((head) => list.map((each) => [...head, each])), [[]]);

/**
 * Return the terms of a window: the number under each of its positions, times a weight.
 * @template {{ k: number, i: number | null }} T @param {Seat | undefined} seat @param {T[][]} axes @param {(k: number[], taps: T[]) => number} weigh @returns {Term[]}
 */
export function window(seat, axes, weigh) {
  return !seat ? [] : combined(axes).map((taps) => {
    const k = taps.map((tap) => tap.k), cell = taps.map(({ i }) => i);
    const at = cell.includes(null) ? null : /** @type {number[]} */ (cell);
    const value = at ? seat.numbers[ravel(at, seat.shape)] : 0, weight = weigh(k, taps);
    return { at, k, value, weight, product: value * weight };
  });
}

/** What families whose windows slide have in common. @type {Pick<Family, "around" | "readers">} */
export const sliding = {
  around: ({ windows }, cell) => windows.map((axis, i) => around(axis, cell[i])),
  readers: ({ windows }, cell) => combined(windows.map((axis, i) => readers(axis, cell[i]).map(({ o }) => o))),
};

/** A number that follows a sign. @param {number} x */
export const bracketed = (x) => (x < 0 ? `(${short(x)})` : short(x));

/** A number in a sum, with the sign before it. @param {number} x @param {number} i its place in the sum */
export const added = (x, i, write = short) => `${x < 0 ? (i ? " − " : "−") : i ? " + " : ""}${write(Math.abs(x))}`;

/** A fraction, its parts one above the other. @param {unknown} above @param {unknown} below */
export const ratio = (above, below) => html`<span class="ratio"><span>${above}</span><span>${below}</span></span>`;

/** @param {[number, number, number]} rgb */
export const painted = (rgb) => `background:${css(rgb)};color:${ink(rgb)}`;

/** A product in its colour. @param {number} x @param {number} most */
export const chip = (x, most) => html`<span class="product" .style=${painted(colour(x, most))}>${tight(x)}</span>`;

/** What stands for a position of the kernel: both light up together. @param {View} view @param {number[]} k @param {string} name @param {unknown} content */
export const spot = ({ strong, point }, k, name, content, style = "", title = "") => html`<span class="${name} ${same(strong, k) ? "lit" : ""}" .style=${style} title=${title || nothing}
  @pointerenter=${() => point(k)} @pointerleave=${() => point(null)}>${content}</span>`;

/** Every digit of a number; of one that float32 holds, those of float32. @param {number} x */
const exact = (x) => full(x, Math.fround(x) === x ? "float32" : "float64");

/** A product with every digit. @param {Pick<Term, "value" | "weight" | "product">} term */
export const written = ({ value, weight, product }) => `${exact(value)} × ${exact(weight)} = ${product}`;

/** @param {number} value @param {number} weight */
export const factors = (value, weight) => html`${tight(value)}<i> × </i>${tight(weight)}`;

/** Products in rows as the kernel has them, each row with its sum; only the strongest where they are many. @param {View} view @param {number} columns */
export function products(view, columns) {
  const { terms, strong } = view, [top, rest] = strongest(terms);
  const few = terms.length <= 81 && columns <= 9, compact = few && columns > 3, shown = few ? terms : top;
  const most = largest(shown.map(({ product }) => product)) || 1;
  const each = (/** @type {Term} */ t) => spot(view, t.k, `term ${t.at ? "" : "edge"}`,
    html`${compact ? nothing : html`<span class="factors">${factors(t.value, t.weight)}</span><i class="equals">=</i>`}${chip(t.product, most)}`, "", written(t));
  if (!few) return html`<div class="products" .style=${"--k:3"}>${top.map(each)}</div>
    ${rest ? html`<p class="rest">${short(sum(top))} and the other ${rest}: ${short(sum(terms) - sum(top))}</p>` : nothing}`;
  const lit = terms.find(({ k }) => same(strong, k));
  if (compact) return html`<div class="products compact" .style=${`--k:${columns}`}>${terms.map(each)}</div>
    <p class="rest">${lit ? html`${short(lit.value)} × ${short(lit.weight)} = <b>${short(lit.product)}</b>` : "Point at a product to see its factors."}</p>`;
  const rows = Array.from({ length: Math.ceil(terms.length / columns) }, (_, i) => terms.slice(i * columns, (i + 1) * columns));
  return html`<div class="products rows" .style=${`--k:${columns}`}>${rows.map((row) => html`${row.map(each)}<span class="sum">${columns > 1 ? `= ${short(sum(row))}` : nothing}</span>`)}</div>`;
}

/** A sum with the names of its parts: `1.502 + 0.1750 bias = 1.677`. @param {View} view @param {[number, string][]} parts */
export function total(view, parts) {
  if (parts.length === 1) return equals(view, view.terms.length === 1 ? "the product" : `the sum of ${view.terms.length} products`);
  return equals(view, parts.map(([x, name], i) => html`<span class=${i ? "soft" : ""}>${i ? added(x, i) : short(x)}${name && ` ${name}`}</span>`));
}

/** A formula with its numbers, and the number that the network computed. @param {View} view @param {unknown} formula nothing where there is none */
export function equals({ stage, laid, place, own, made }, formula) {
  return html`<p class="total">${formula}${formula === nothing ? nothing : " = "}<b title=${`${exact(made)}, computed here as ${own}`}>${short(made)}</b>${stage.changes.difference(laid, place)}</p>`;
}

/** What an input cell feeds, as a line. @param {View} view */
export function feeding({ stage, laid, terms }) {
  const most = largest(terms.map(({ product }) => product)) || 1;
  return html`<div class="products" .style=${"--k:3"}>${inside(terms).slice(0, 9).map(({ at, weight, product }) => html`<button type="button" class="term"
    @click=${() => stage.go({ index: [...laid.out.at, ...at], way: "made", from: null })}><span class="factors">× ${tight(weight)}</span><i class="equals">=</i>${chip(product, most)}<i>→ ${at.join(", ")}</i></button>`)}</div>
    ${terms.length > 9 ? html`<p class="rest">and ${plural(terms.length - 9, "other place")}</p>` : nothing}`;
}

/** The pixels of a cell in the middle. @param {View} view @param {number} columns @param {number} [beside] */
export function cellSize({ width, narrow }, columns, beside = 1) {
  return Math.max(14, Math.min(narrow ? 44 : 56, Math.floor((width - 24 * (beside - 1)) / beside / columns)));
}

/** Cells in the shape of a kernel, its frames side by side. @param {unknown[]} cells @param {number} columns @param {number} side */
export function grid(cells, columns, side, frames = 1) {
  const size = cells.length / frames, style = `grid:auto-flow ${side}px / repeat(${columns}, ${side}px)`;
  return html`<div class="blocks">${Array.from({ length: frames }, (_, i) => html`<div class="weights" .style=${style}>${cells.slice(i * size, (i + 1) * size)}</div>`)}</div>`;
}

/** What lies under the window, as cells of the middle; chosen ones framed. @param {View} view @param {number} columns @param {number} side */
export function patch(view, columns, side, frames = 1) {
  const { laid, terms } = view, counts = laid.seat("kernel") || laid.answer.detail.counts_padding;
  const shade = shades(laid.shown?.numbers ?? [], laid.net.isPicture(laid.shown?.value ?? -1));
  const cells = terms.map(({ at, k, value, won }) => spot(view, k, `weight plain ${at ? "" : "edge"} ${won ? "won" : ""}`, side >= 26 && (at || counts) ? tight(value) : "", at ? painted(shade(value)) : ""));
  return html`<div aria-hidden="true">${grid(cells, columns, side, frames)}</div>`;
}

/** A small chart with a point on it. @param {string} label @param {number} w @param {number} h @param {number[]} point @param {number[]} ends of its axis @param {unknown} content */
export const chart = (label, w, h, [x, y], [low, high], content) => html`<svg class="curve" width=${w} height=${h + 18} role="img" aria-label=${label}>${content}
  ${Number.isFinite(x + y) ? svg`<circle cx=${x} cy=${y} r="5" />` : nothing}<text x="0" y=${h + 14}>${short(low)}</text><text x=${w} y=${h + 14} text-anchor="end">${short(high)}</text></svg>`;

/** Return rows and columns in words: "rows 5–7, columns 3–5", "rows 1, 3 and 5". @param {(number[] | null)[]} cells */
export function where(cells) {
  const found = cells.filter((cell) => cell !== null);
  if (!found.length) return "nothing but border";
  return axisNames(found[0].length).map((name, axis) => {
    const at = [...new Set(found.map((cell) => cell[axis]))].sort((a, b) => a - b), last = at[at.length - 1];
    if (at.length === 1) return `${name} ${at[0]}`;
    return `${name}s ${last - at[0] === at.length - 1 ? `${at[0]}–${last}` : `${at.slice(0, -1).join(", ")} and ${last}`}`;
  }).join(", ");
}
