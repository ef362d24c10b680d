// Convolution and transposed convolution on the bench: a kernel of weights over a window.

import { html, nothing } from "../vendor/lit-html.js";
import { controls, editable } from "../change.js";
import { colour, largest } from "../colours.js";
import { cut } from "../laid.js";
import { plural, ravel, same, short, tight, unravel, volume } from "../numbers.js";
import { taps } from "../parts/windows.js";
import { cellSize, combined, family, grid, inside, painted, patch, products, sliding, sum, total, where, window } from "./family.js";

/** The weights of one output map, for every input map of its group. @param {Laid} laid */
const kernelOf = (laid) => /** @type {Seat} */ (laid.seat("kernel"));

/** @param {Laid} laid */
const turned = ({ family }) => family === "transposed";

/** @param {Laid} laid */
const biasOf = (laid) => (laid.seat("bias") ? laid.number("bias") : null);

/** @param {Laid} laid @param {number[]} place @param {Seat | undefined} seat of an input map @param {number} [channel] that map among those of the group */
function termsOn(laid, place, seat, channel = laid.inGroup) {
  const { shape, numbers } = cut(kernelOf(laid), channel);
  return window(seat, laid.windows.map((axis, i) => taps(axis, place[i])), (k) => numbers[ravel(k, shape)]);
}

/** The sums that were asked for last. @type {{ laid: Laid | null, place: number[], sums: [number, number][] }} */
let latest = { laid: null, place: [], sums: [] };

/** Return the sum of each input map's products, the strongest first, where all maps are known. @param {Laid} laid @param {number[]} place */
export function channelSums(laid, place) {
  const seat = laid.seat("in");
  if (!seat || !laid.hasAll || !laid.seat("kernel")) return laid.answer.channels;
  if (latest.laid !== laid || !same(latest.place, place)) {
    const first = laid.channel - laid.inGroup;
    const sums = Array.from({ length: kernelOf(laid).shape[0] }, (_, c) => /** @type {[number, number]} */ ([first + c, sum(termsOn(laid, place, cut(seat, c), c))]));
    latest = { laid, place, sums: sums.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1])) };
  }
  return latest.sums;
}

/** How many products land on each place of a transposed convolution's output. @param {Laid} laid */
export const landings = ({ windows }) =>
  Float32Array.from(combined(windows.map((axis) => Array.from({ length: axis.outputs }, (_, o) => taps(axis, o).length))), volume);

/** @param {View} view */
function sentence({ laid, terms, made }) {
  const bias = biasOf(laid), [maps, ...size] = kernelOf(laid).shape, on = inside(terms), products = made - (bias ?? 0);
  if (turned(laid)) {
    const land = on.length ? `${on.length === 1 ? "One lands" : `${on.length} land`} here, from ${where(on.map((t) => t.at))}` : "None lands here";
    return `Every number of ${laid.source} is spread over ${plural(volume(size), "place")}, once for each weight. ${land}${bias === null ? "" : `, plus the bias ${short(bias)}`}: ${short(made)}.`;
  }
  const count = terms.length * maps, beyond = terms.length - on.length;
  const border = beyond ? ` ${plural(beyond, "place")} of it ${beyond === 1 ? "lies beyond the edge and counts" : "lie beyond the edge and count"} 0.` : "";
  return `Kernel ${laid.map} lies on ${where(terms.map((t) => t.at))} of ${laid.source}${maps > 1 ? `, in each of ${maps} maps` : ""}. Every number is multiplied by the weight on it; ${
    count === 1 ? `the product is ${short(products)}` : `the ${plural(count, "product")} add up to ${short(products)}`}${bias === null ? "." : `, with the bias ${short(bias)} to ${short(made)}.`}${border}`;
}

/** A weight or a bias that the reader may turn. @param {View} view @param {number | null | undefined} id of its value @param {number[]} index @param {number} x @param {number} most @param {{ label: string, name?: string, style?: string, text: string, k?: number[] | null }} how */
function turning({ stage, laid, point }, id, index, x, most, { label, name = "", style = "", text, k = null }) {
  const at = id == null ? "" : laid.net.value(id).name, { key, drag, restore } = editable(stage, at, index, x, most);
  return html`<div class="weight ${name} ${stage.isSet(at, index) ? "changed" : ""}" .style=${style} role="spinbutton" tabindex="0" aria-label=${label} aria-valuetext=${short(x)} aria-valuenow=${x}
    title="Drag up or down, or use the arrow keys, to change ${k ? "this weight" : "the bias"}" @pointerenter=${() => point(k)} @pointerleave=${() => point(null)} @focus=${() => point(k)}
    @keydown=${key} @pointerdown=${drag} @dblclick=${restore}>${text}</div>`;
}

/** @param {View} view */
function middle(view) {
  const { laid, terms, strong, small, narrow, stage } = view, { shape, numbers } = cut(kernelOf(laid), laid.inGroup);
  const most = largest(kernelOf(laid).numbers) || 1, bias = biasOf(laid), spread = turned(laid);
  const columns = shape.at(-1) ?? 1, frames = shape.length === 3 ? shape[0] : 1, flat = shape.length === 1;
  const both = small && !narrow && columns > 1 && columns <= 7 && frames === 1 && !spread;
  const side = cellSize(flat && narrow ? { ...view, width: stage.room } : view, columns, both && !flat ? 2 : Math.min(frames, 3));
  const used = new Set(terms.map((t) => String(t.k)));
  const weights = grid(Array.from(numbers, (x, i) => {
    const k = unravel(i, shape), index = spread ? [laid.channel, laid.map, ...k] : [laid.map, laid.inGroup, ...k];
    const name = `${same(strong, k) ? "lit" : ""} ${spread && !used.has(String(k)) ? "unused" : ""}`;
    return turning(view, laid.step?.weight, index, x, most, { label: `weight ${k.join(", ")}`, name, k, style: painted(colour(x, most)), text: side >= 26 ? tight(x) : "" });
  }), columns, side, frames);
  return html`<div class="kernel ${flat ? "flat" : ""}" ?inert=${laid.beside}>${both ? html`<div class="pair ${flat ? "flat" : ""}">${patch(view, columns, side)}<span class="sign">×</span>${weights}</div>` : weights}
    ${bias === null ? nothing : html`<div class="bias soft">bias ${turning(view, laid.step?.bias, [laid.map], bias, Math.max(Math.abs(bias), 1), { label: "bias", text: short(bias) })}</div>`}
    ${spread ? html`<button type="button" class="chip" aria-pressed=${stage.bench.counts} @click=${() => stage.bench.count(!stage.bench.counts)}>how many land</button>` : nothing}${controls(stage, laid)}</div>`;
}

/** Show at once what a changed weight or bias does to the map; return whether it is one of these. @param {Laid} laid @param {SetNumber} change */
function preview(laid, { at, index, to }) {
  const { step, net, out, shown } = laid, bias = laid.seat("bias");
  const named = (/** @type {number | null | undefined} */ id) => id != null && at === net.value(id).name;
  latest.laid = null;
  if (bias && named(step?.bias) && index[0] === laid.map) {
    const by = to - bias.numbers[0];
    bias.numbers[0] = to;
    out.numbers.forEach((x, i) => { out.numbers[i] = x + by; });
    return true;
  }
  const own = turned(laid) ? [laid.channel, laid.map] : [laid.map, laid.inGroup];
  if (!named(step?.weight) || !same(index.slice(0, 2), own) || !shown) return false;
  const { shape, numbers } = cut(kernelOf(laid), laid.inGroup), k = index.slice(2), flat = ravel(k, shape), by = to - numbers[flat];
  numbers[flat] = to;
  for (let i = 0; i < out.numbers.length; i++) {
    const place = unravel(i, out.shape);
    const cell = laid.windows.map((axis, a) => taps(axis, place[a]).find((t) => t.k === k[a])?.i ?? null);
    if (!cell.includes(null)) out.numbers[i] += by * shown.numbers[ravel(/** @type {number[]} */ (cell), shown.shape)];
  }
  return true;
}

/** @param {View} view */
function line(view) {
  const { laid, terms, made } = view, [maps, ...size] = kernelOf(laid).shape, here = sum(terms), bias = biasOf(laid);
  /** @type {[number, string][]} */
  const parts = [[here, ""]];
  if (maps > 1) parts.push([made - (bias ?? 0) - here, maps === 2 ? "the other map" : `${maps - 1} other maps`]);
  if (bias !== null) parts.push([bias, "bias"]);
  return html`${products(view, turned(laid) ? Math.max(1, new Set(terms.map((t) => t.k.at(-1))).size) : size.at(-1) ?? 1)}${total(view, parts)}`;
}

export const windowed = family({
  terms: (laid, place) => termsOn(laid, place, laid.shown),
  total: (laid, place, terms) => (biasOf(laid) ?? 0) + (laid.hasAll ? channelSums(laid, place).reduce((all, [, part]) => all + part, 0) : sum(terms)),
  lit: (laid, place, terms) => (turned(laid) ? inside(terms).map((t) => t.at) // a window lights its cells beyond the edge, too
    : combined(laid.windows.map((axis, i) => Array.from({ length: axis.size }, (_, k) => place[i] * axis.stride - axis.before + k * axis.dilation)))),
  ...sliding, sentence, middle, line, preview, sign: () => "×", caption: () => "kernel",
});
