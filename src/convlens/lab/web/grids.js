// The drawn parts of the arithmetic: small coloured grids, signed bars, and what they are scaled by.

import { html } from "./vendor/lit-html.js";
import { colour, isDark } from "./colours.js";

/** @typedef {import("./answers.js").TermGroup} Group */

/** Return the tap of the largest product that is not padding. @param {Group} group */
export function strongest(group) {
  const sizes = group.product.map((x, i) => (group.source[i] < 0 ? -1 : Math.abs(x)));
  const most = Math.max(...sizes.map((x) => (Number.isNaN(x) ? -1 : x)));
  const ties = group.product.map((_, i) => i).filter((i) => sizes[i] === most);
  return ties.find((i) => group.weight[i] !== 0) ?? ties[0];
}

/** Return the largest size of a part's numbers. @param {Group[]} groups @param {"value" | "weight" | "product"} part */
export function largest(groups, part) {
  let most = 0;
  for (const group of groups) for (const x of group[part]) if (Math.abs(x) > most && Number.isFinite(x)) most = Math.abs(x);
  return most;
}

/**
 * Return how three grids of a window fit the column: side by side, one under the other, or, where
 * digits have no room, as colours whose numbers the pointer shows.
 * @param {number[]} window
 */
export function fit(window) {
  const columns = window.at(-1) ?? 1;
  return columns <= 3 ? "abreast" : columns <= 10 ? "stacked" : "stacked dense";
}

/** Draw a signed bar about a middle line. @param {number} x @param {number} span */
export function bar(x, span) {
  const size = span > 0 && Number.isFinite(x) ? 50 * Math.min(1, Math.abs(x) / span) : 0;
  return html`<svg class="signed" viewBox="-50 0 100 10" preserveAspectRatio="none" aria-hidden="true">
    <line class="zero" x1="0" x2="0" y1="0" y2="10"></line>
    <rect class=${x < 0 ? "minus" : "plus"} x=${x < 0 ? -size : 0} y="1.5" width=${size} height="7"></rect></svg>`;
}

/** Draw a small coloured grid without numbers. @param {number[]} numbers @param {number[]} window @param {number} span @param {"activation" | "weight"} family */
export function mini(numbers, window, span, family) {
  const columns = window.at(-1) ?? 1;
  const rows = Math.max(1, Math.round(numbers.length / columns));
  const canvas = document.createElement("canvas");
  canvas.className = rows > columns ? "mini tall" : "mini";
  canvas.width = columns;
  canvas.height = rows;
  const dark = isDark();
  if (!waiting.length) requestAnimationFrame(paintSome);
  waiting.push(() => {
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const image = context.createImageData(columns, rows);
    numbers.forEach((x, i) => image.data.set([...colour(x, span, family, dark), 255], 4 * i));
    context.putImageData(image, 0, 0);
  });
  return canvas;
}

/** The small grids that are not painted yet, because the numbers come first. @type {(() => void)[]} */
const waiting = [];

function paintSome() {
  for (const paint of waiting.splice(0, 18)) paint();
  if (waiting.length) requestAnimationFrame(paintSome);
}
