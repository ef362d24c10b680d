// Steps without seats of their own on the bench: the terms that the lens found for the number opened last, the strongest first.

import { html, nothing } from "../vendor/lit-html.js";
import { largest } from "../colours.js";
import { plural, same, short, signed, tight, unravel } from "../numbers.js";
import { chip, equals, written } from "./family.js";

/** @import { Family, Laid, View } from "./family.js" */
/** @typedef {{ source: number, position: number, value: number, weight: number, product: number }} Found */

const LISTED = 9;

/** The terms of the explanation, the strongest first; of a choice the chosen one before all. @param {Laid} laid @returns {Found[]} */
function found({ answer: { explained, rule } }) {
  const list = (explained?.groups ?? []).flatMap((group) => group.product.map((product, i) => (
    { source: group.source[i], position: group.position[i], value: group.value[i], weight: group.weight[i], product })));
  return rule === "chosen" ? list : list.sort((a, b) => Math.abs(b.product) - Math.abs(a.product) || 0);
}

/** @param {Laid} laid */
const chosen = (laid) => laid.answer.rule === "chosen";

/** @param {View} view */
function sentence({ laid, place }) {
  const { answer, step, net } = laid;
  const made = short(laid.recorded(place));
  if (answer.refusal) return `This number is not explained: ${answer.refusal}.`;
  if (!step) return `${made} came in with ${net.said(answer.value)}.`;
  const all = plural(answer.explained?.count ?? 0, "number");
  if (chosen(laid)) return `${made} was chosen among ${all}${answer.note ? `: ${answer.note.replace(/^chosen: /, "")}` : ""}.`;
  return `${made} is made of ${all} by ${step.op.replaceAll("_", " ")}${answer.formula ? `: ${answer.formula}` : ""}.${answer.note ? ` ${answer.note[0].toUpperCase()}${answer.note.slice(1)}.` : ""}`;
}

/** @param {View} view */
function line(view) {
  const { laid, stage } = view;
  const { net, answer } = laid;
  const list = found(laid);
  if (!list.length) return equals(view, nothing);
  const most = largest(list.map((t) => t.product)) || 1;
  const open = (/** @type {Found} */ { source, position }) => stage.open(source, unravel(position, net.value(source).shape));
  const spot = (/** @type {Found} */ t) => (t.source < 0 ? "a number" : `${net.title(t.source)}, ${net.spot(t.source, unravel(t.position, net.value(t.source).shape))}`);
  const count = answer.explained?.count ?? list.length;
  const shown = list.slice(0, LISTED);
  if (chosen(laid) && shown.length > 2) shown.sort((a, b) => (shown[1].value < shown[shown.length - 1].value ? a.value - b.value : b.value - a.value));
  const made = answer.explained?.products ?? NaN;
  const rest = count - shown.length;
  const others = made - shown.reduce((a, t) => a + t.product, 0);
  return html`<ol class="ranked">${shown.map((t) => html`<li class=${chosen(laid) && t.weight ? "won" : chosen(laid) ? "soft" : ""}><button type="button" ?disabled=${t.source < 0} @click=${() => open(t)}>${spot(t)}</button>
      <span class="factors" title=${written(t)}>${chosen(laid) ? short(t.value) : html`${tight(t.value)}<i> × </i>${tight(t.weight)}`}</span>${chosen(laid) ? (t.weight ? html`<em>chosen</em>` : html`<span></span>`) : chip(t.product, most)}</li>`)}</ol>
    ${rest > 0 ? html`<p class="rest">${plural(rest, "other")}${chosen(laid) || !Number.isFinite(others) ? "" : ` ${signed(others)}`}</p>` : nothing}
    ${equals(view, nothing)}`;
}

/** @param {Laid} laid */
const alike = ({ shown, out }) => shown !== undefined && same(shown.shape, out.shape);

/** @type {Family} */
export const other = {
  terms: () => [],
  around: (laid, cell) => (alike(laid) ? cell : laid.placeOf(laid.answer.index)),
  lit: (laid, place) => {
    const { shown, net } = laid;
    const own = new Map(found(laid).slice(0, 200).filter((t) => t.source === shown?.value && t.weight).map((t) => [t.position, t]));
    const cells = shown && shown.value !== null ? [...own.keys()].map((position) => unravel(position, net.value(/** @type {number} */ (shown.value)).shape)) : [];
    const inside = cells.filter((index) => shown?.at.every((at, i) => at === index[i])).map((index) => index.slice(shown?.at.length));
    return inside.length ? inside : alike(laid) ? [place] : [];
  },
  total: (laid) => laid.answer.total,
  sentence,
  middle: () => nothing,
  line,
  sign: (laid) => (chosen(laid) ? "┈┈" : "→"),
  caption: (laid) => laid.step?.op.replaceAll("_", " ") ?? "",
};

/** A place whose own terms the seats do not hold. @type {Partial<Family>} */
export const elsewhere = {
  terms: () => [],
  lit: () => [],
  sentence: ({ laid, place }) => `${laid.net.said(laid.answer.value)} has ${short(laid.recorded(place))} here. Click the cell to open its own terms.`,
  middle: () => nothing,
  line: (view) => equals(view, nothing),
  total: (laid, place) => laid.recorded(place),
};
