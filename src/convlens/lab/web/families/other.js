// Steps without seats of their own on the bench: the terms that the lens found for the number opened last, the strongest first.

import { html, nothing } from "../vendor/lit-html.js";
import { largest } from "../colours.js";
import { plural, same, short, signed, unravel } from "../numbers.js";
import { folded, ranked } from "../parts/ranking.js";
import { chip, equals, factors, family, written } from "./family.js";

/** The terms of the explanation. @param {Laid} laid */
const found = ({ answer: { explained } }) => (explained ? ranked(explained) : { lines: [], edge: 0, count: 0, products: 0 });

/** @param {Laid} laid */
const chosen = ({ answer }) => answer.rule === "chosen";

/** @param {View} view */
function line(view) {
  const { laid, stage } = view, { net } = laid, all = found(laid), { shown, count, sum } = folded(all, 9);
  if (!shown.length) return equals(view, nothing);
  const most = largest(shown.map(({ product }) => product)) || 1, rest = count + all.edge, choice = chosen(laid);
  const least = choice && shown.length > 2 && shown[1].x < shown[shown.length - 1].x;
  if (choice) shown.sort((a, b) => (least ? a.x - b.x : b.x - a.x));
  return html`<ol class="ranked">${shown.map((t) => {
    const index = unravel(t.position, net.value(t.value).shape);
    return html`<li class=${choice ? (t.won ? "won" : "soft") : ""}><button type="button" @click=${() => stage.open(t.value, index)}>${net.title(t.value)}, ${net.spot(t.value, index)}</button>
      <span class="factors" title=${written({ ...t, value: t.x })}>${choice ? short(t.x) : factors(t.x, t.weight)}</span>${choice ? html`<em>${t.won ? "chosen" : ""}</em>` : chip(t.product, most)}</li>`;
  })}</ol>${rest ? html`<p class="rest">${plural(rest, "other")}${choice || !Number.isFinite(sum) ? "" : ` ${signed(sum)}`}</p>` : nothing}${equals(view, nothing)}`;
}

/** @param {Laid} laid */
const alike = ({ shown, out }) => shown !== undefined && same(shown.shape, out.shape);

export const other = family({
  terms: () => [],
  total: ({ answer }) => answer.total,
  around: (laid, cell) => (alike(laid) ? cell : laid.here),
  lit: (laid, place) => {
    const { shown, net } = laid, value = shown?.value ?? null;
    if (!shown || value === null) return [];
    const cells = found(laid).lines.slice(0, 200).filter((t) => t.value === value && t.weight).map((t) => unravel(t.position, net.value(value).shape))
      .filter((index) => shown.at.every((at, axis) => at === index[axis])).map((index) => index.slice(shown.at.length));
    return cells.length ? cells : alike(laid) ? [place] : [];
  },
  sentence: ({ laid, made }) => {
    const { answer: { refusal, value, explained, note, formula }, op, step, net } = laid;
    if (refusal) return `This number is not explained: ${refusal}.`;
    if (!step) return `${short(made)} came in with ${net.said(value)}.`;
    const all = plural(explained?.count ?? 0, "number");
    if (chosen(laid)) return `${short(made)} was chosen among ${all}${note ? `: ${note.replace(/^chosen: /, "")}` : ""}.`;
    return `${short(made)} is made of ${all} by ${op.replaceAll("_", " ")}${formula ? `: ${formula}` : ""}.${note ? ` ${note[0].toUpperCase()}${note.slice(1)}.` : ""}`;
  },
  line,
  sign: (laid) => (chosen(laid) ? "┈┈" : "→"),
});

/** A place whose own terms the seats do not hold. @type {Partial<Family>} */
export const elsewhere = {
  terms: () => [], total: (laid, place) => laid.recorded(place), lit: () => [], middle: () => nothing, line: (view) => equals(view, nothing),
  sentence: ({ laid, made }) => `${laid.net.said(laid.answer.value)} has ${short(made)} here. Click the cell to open its own terms.`,
};
