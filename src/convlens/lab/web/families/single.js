// Steps on the bench that make each number of one, or of two at the same place: functions, sums, norms, and what hands numbers on.

import { html, nothing, svg } from "../vendor/lit-html.js";
import { ravel, same, short, unravel } from "../numbers.js";
import { added, bracketed, chart, equals, family, where } from "./family.js";

/** @param {unknown} base @param {unknown} power */
const raised = (base, power) => html`${base}<sup>${power}</sup>`;

/**
 * How each function is written out; x is the number, c the constant of an arithmetic with one, d the other constants.
 * @type {Record<string, (x: number, c: number, d: import("../answers.js").BenchDetail) => unknown>}
 */
const WRITTEN = {
  relu: (x) => `max(0, ${short(x)})`,
  leaky_relu: (x, _, { negative_slope = 0.01 }) => (x < 0 ? `${short(negative_slope)} × ${bracketed(x)}` : short(x)),
  clamp: (x, _, { low, high }) => {
    const top = high === undefined ? short(x) : `min(${short(x)}, ${short(high)})`;
    return low === undefined ? top : `max(${short(low)}, ${top})`;
  },
  sigmoid: (x) => html`1 ÷ (1 + ${raised("e", short(-x))})`,
  silu: (x) => `${short(x)} × sigmoid(${short(x)})`,
  exp: (x) => raised("e", short(x)),
  neg: (x) => `−${bracketed(x)}`,
  abs: (x) => `|${short(x)}|`,
  sqrt: (x) => `√${bracketed(x)}`,
  square: (x) => raised(bracketed(x), 2),
  reciprocal: (x) => `1 ÷ ${bracketed(x)}`,
  add: (x, c) => `${short(x)}${added(c, 1)}`,
  sub: (x, c) => `${short(x)} − ${bracketed(c)}`,
  rsub: (x, c) => `${short(c)} − ${bracketed(x)}`,
  mul: (x, c) => `${short(x)} × ${bracketed(c)}`,
  div: (x, c) => `${short(x)} ÷ ${bracketed(c)}`,
  rdiv: (x, c) => `${short(c)} ÷ ${bracketed(x)}`,
};
/** @type {Record<string, string>} */
const SAME = { relu6: "clamp", hardtanh: "clamp", clip: "clamp", clamp_min: "clamp", clamp_max: "clamp", subtract: "sub", multiply: "mul", divide: "div", true_divide: "div" };

/** The name that a function is written by. @param {Laid} laid */
const named = ({ op }) => op.replace(/^_|_$/g, "");

/** The curve, the axes where they are in sight, and the point. @param {View} view */
function curve({ laid, place, width, made }) {
  const points = laid.seat("curve")?.numbers;
  if (!points) return nothing;
  const half = points.length / 2, xs = points.subarray(0, half), ys = points.subarray(half), finite = [...ys].filter(Number.isFinite), x = laid.given(place);
  const left = xs[0], right = xs[half - 1], low = Math.min(...finite), high = Math.max(...finite), w = Math.min(width, 260), h = Math.round(w * 0.7);
  const across = (/** @type {number} */ v) => 6 + ((v - left) / (right - left || 1)) * (w - 12);
  const down = (/** @type {number} */ v) => (high > low ? h - 8 - ((v - low) / (high - low)) * (h - 16) : h / 2);
  const [px, py] = [across(x), down(made)];
  return chart(`${named(laid)}: ${short(x)} becomes ${short(made)}`, w, h, [px, py], [left, right], html`
    ${low <= 0 && high >= 0 ? svg`<line class="axis" x1="0" x2=${w} y1=${down(0)} y2=${down(0)} />` : nothing}
    ${left <= 0 && right >= 0 ? svg`<line class="axis" y1="0" y2=${h} x1=${across(0)} x2=${across(0)} />` : nothing}
    ${svg`<polyline points=${[...xs].flatMap((v, i) => (Number.isFinite(ys[i]) ? `${across(v).toFixed(1)},${down(ys[i]).toFixed(1)}` : [])).join(" ")} />`}
    ${Number.isFinite(px + py) ? svg`<path class="drop" d=${`M${px} ${h}V${py}H0`} />` : nothing}`);
}

export const pointwise = family({
  terms: (laid, place) => [{ at: place, k: [], value: laid.given(place), weight: 1, product: laid.recorded(place) }],
  sentence: ({ laid, terms: [{ value: x }], made }) => {
    const { scalar } = laid.answer.detail, becomes = `Here ${short(x)} becomes ${short(made)}.`;
    if (named(laid) === "relu") return x > 0 ? `Positive, so it passes as it is: ${short(x)}.` : x < 0 ? `Negative, so it becomes 0: ${short(x)} stops here.` : `${short(x)} passes as it is.`;
    return scalar === undefined ? `The function ${named(laid)} takes each number by itself. ${becomes}` : `Every number of ${laid.source} meets the same number, ${short(scalar)}. ${becomes}`;
  },
  middle: curve,
  line: (view) => {
    const { laid, terms: [{ value: x }] } = view, { detail } = laid.answer, name = SAME[named(laid)] ?? named(laid);
    const unknown = /^r?(add|sub|mul|div)$/.test(name) && detail.scalar === undefined;
    return equals(view, unknown || !WRITTEN[name] ? `${named(laid)}(${short(x)})` : WRITTEN[name](x, detail.scalar ?? 0, detail));
  },
  caption: named,
});

/** @type {Record<string, string>} */
const SIGNS = { "-": "−", "/": "÷", "×": "×" };

/** @param {Laid} laid */
const signOf = ({ answer: { detail: { sign = "" } } }) => SIGNS[sign] ?? "+";

/** Whether an operand has one number for a whole map. @param {Laid} laid @param {string} role */
function alone(laid, role) {
  const value = laid.seat(role)?.value ?? null;
  return value !== null && laid.out.numbers.length > 1 && laid.net.value(value).shape.slice(-laid.rank).every((n) => n === 1);
}

/** Two values that meet number by number. */
export const adding = family({
  terms: (laid, place) => {
    const a = laid.number("in", place), b = laid.number("in2", place), { alpha = 1 } = laid.answer.detail, sign = signOf(laid);
    if (sign === "×") return [{ at: place, k: [], value: a, weight: b, product: a * b }];
    if (sign === "÷") return [{ at: place, k: [], value: a, weight: 1 / b, product: a / b }];
    const weight = sign === "−" ? -alpha : alpha;
    return [{ at: place, k: [0], value: a, weight: 1, product: a }, { at: null, k: [1], value: b, weight, product: weight * b }];
  },
  sentence: ({ laid, place, made }) => {
    const [a, b] = ["in", "in2"].map((role) => laid.number(role, place)), [one, two] = ["in", "in2"].map((role) => laid.net.said(laid.seat(role)?.value ?? -1));
    const sign = signOf(laid), gate = alone(laid, "in2");
    if (sign === "×" && (gate || alone(laid, "in"))) {
      const [map, factor, x] = gate ? [one, two, b] : [two, one, a];
      return `Every number of this map of ${map} is multiplied by one number of ${factor}, ${short(x)}. Here that makes ${short(made)}.`;
    }
    const how = { "×": `multiplied, ${one} and ${two}`, "÷": `divided, ${one} by ${two}`, "−": `subtracted, ${two} from ${one}` }[sign] ?? `added, ${one} and ${two}`;
    return `Numbers at the same place are ${how}: ${short(a)} ${sign} ${bracketed(b)} makes ${short(made)}.`;
  },
  line: (view) => {
    const { laid, place } = view, { alpha = 1 } = laid.answer.detail;
    return equals(view, `${short(laid.number("in", place))} ${signOf(laid)} ${alpha === 1 ? "" : `${short(alpha)} × `}${bracketed(laid.number("in2", place))}`);
  },
  sign: signOf, caption: () => "",
});

const BARS = 24;

/** What a number becomes by a norm, step by step: less the mean, over the deviation, times the scale, plus the shift. @param {Laid} laid @param {number[]} place */
function stages(laid, place) {
  const role = (/** @type {string} */ name, without = 0) => (laid.seat(name) ? laid.number(name, place) : without);
  const mean = role("mean"), deviation = role("deviation", 1), scale = role("scale", 1), shift = role("shift"), x = laid.given(place), standard = (x - mean) / deviation;
  return { x, mean, deviation, scale, shift, standard, made: standard * scale + shift };
}

/** The numbers of the map that comes in, counted; its mean and its deviation on either side. @param {View} view */
function histogram({ laid, place, width }) {
  const numbers = [...laid.shown?.numbers ?? []].filter(Number.isFinite), { mean, deviation, x } = stages(laid, place), ends = [mean - deviation, mean + deviation, x].filter(Number.isFinite);
  const low = numbers.reduce((a, b) => Math.min(a, b), Math.min(...ends)), high = numbers.reduce((a, b) => Math.max(a, b), Math.max(...ends));
  const counts = new Array(BARS).fill(0), w = Math.min(width, 260), h = 96, share = (/** @type {number} */ v) => (v - low) / (high - low || 1);
  for (const v of numbers) counts[Math.min(BARS - 1, Math.floor(share(v) * BARS))]++;
  const most = Math.max(1, ...counts), at = share(mean) * w, from = share(mean - deviation) * w;
  return chart(`the map's numbers, with mean ${short(mean)} and deviation ${short(deviation)}`, w, h, [share(x) * w, h - 5], [low, high], html`
    ${counts.map((n, i) => svg`<rect x=${(i * w) / BARS} width=${w / BARS - 1} y=${h - (n / most) * h} height=${(n / most) * h} />`)}
    ${svg`<line class="mean" x1=${at} x2=${at} y1="0" y2=${h} /><path class="reach" d=${`M${from} ${h - 6}v6h${2 * (at - from)}v-6`} />`}`);
}

export const norm = family({
  terms: (laid, place) => {
    const { x, deviation, scale, made } = stages(laid, place);
    return [{ at: place, k: [], value: x, weight: scale / deviation, product: made }];
  },
  sentence: ({ laid, place, made }) => {
    const { mean, deviation, x, standard } = stages(laid, place), far = short(Math.abs(standard));
    const less = laid.seat("mean") ? `${short(x)} lies ${far} deviations ${standard < 0 ? "below" : "above"} the mean ${short(mean)}` : `${short(x)} is ${far} times the usual size ${short(deviation)}`;
    const more = ["scale", "shift"].filter((role) => laid.seat(role)).map((role) => `its ${role}`).join(" and ");
    return `${less}. ${more ? `With ${more} it becomes ${short(made)}.` : "That is what it becomes."}`;
  },
  middle: (view) => {
    const { laid, place } = view, s = stages(laid, place);
    /** @type {[string, string, number, number][]} */
    const steps = [["mean", "−", s.mean, s.x - s.mean], ["deviation", "÷", s.deviation, s.standard], ["scale", "×", s.scale, s.standard * s.scale], ["shift", "+", s.shift, s.made]];
    return html`<div class="kernel flat">${laid.shown ? histogram(view) : nothing}<ol class="ruler"><li><span></span><b>${short(s.x)}</b></li>${steps.map(([role, sign, by, made]) => (laid.seat(role)
      ? html`<li><span>${sign} ${role} <span class="soft">${short(by)}</span></span><b>${short(made)}</b></li>` : nothing))}</ol></div>`;
  },
  line: (view) => {
    const { laid, place } = view, { x, mean, deviation, scale, shift } = stages(laid, place);
    return equals(view, `${laid.seat("mean") ? `(${short(x)}${added(-mean, 1)})` : short(x)} ÷ ${short(deviation)}${laid.seat("scale") ? ` × ${bracketed(scale)}` : ""}${laid.seat("shift") ? added(shift, 1) : ""}`);
  },
});

/** By how much joined values are moved along each axis of a place; null where numbers move in another way. @param {Laid} laid */
function shifts({ family, rank, answer: { detail: { dim = 0, offset = 0 }, index } }) {
  return family === "concat" ? Array.from({ length: rank }, (_, axis) => (axis === dim - (index.length - rank) ? offset : 0)) : null;
}

/** Where a place's number stands on the map that comes in; null where it is not of that map. @param {Laid} laid @param {number[]} place */
function from(laid, place) {
  const { shown } = laid, by = shifts(laid);
  if (!shown) return null;
  const origin = laid.seat("origin") ? laid.number("origin", place) : -1;
  if (!by) return origin < 0 ? null : unravel(origin, shown.shape);
  const at = place.map((i, axis) => i - by[axis]);
  return at.every((i, axis) => i >= 0 && i < shown.shape[axis]) ? at : null;
}

/** The places that a cell's number goes to, as far as they are known. @param {Laid} laid @param {number[]} cell */
function readers(laid, cell) {
  const { shown, out } = laid, by = shifts(laid), origin = laid.seat("origin")?.numbers ?? [];
  if (!shown) return [];
  const flat = ravel(cell, shown.shape), places = by ? [cell.map((i, axis) => i + by[axis])] : [...origin.keys()].filter((i) => origin[i] === flat).map((i) => unravel(i, out.shape));
  return places.filter((place) => same(from(laid, place), cell));
}

/** What hands numbers on as they are: views, crops, padding, turns, and values joined. */
export const moving = family({
  terms: (laid, place) => {
    const at = from(laid, place), value = at ? laid.given(at) : NaN;
    return at ? [{ at, k: [], value, weight: 1, product: value }] : [];
  },
  total: (laid, place, [term]) => (term ? term.value : laid.recorded(place)),
  around: (laid, cell) => readers(laid, cell)[0] ?? (laid.family === "concat" ? cell : laid.here),
  readers,
  sentence: ({ laid, terms: [term], made }) => {
    if (!term) return `${short(made)} was put here: it comes from no number of the network.`;
    const { operand = 0 } = laid.answer.detail, which = ["first", "second", "third"][operand] ?? `${operand + 1}th`;
    return `The same number, ${short(made)}, from ${where([term.at])} of ${laid.source}${laid.family === "concat" ? `, the ${which} of ${laid.step?.x.length ?? 1} that stand one after the other` : ""}.`;
  },
  middle: ({ laid: { net, step, family, answer: { detail } } }) => (family !== "concat" ? html`<p class="soft">the same number</p>`
    : html`<ol class="operands">${step?.x.map((id, i) => html`<li class=${i === detail.operand ? "lit" : "soft"}>${net.title(id)} <span class="soft">${net.shape(id)}</span></li>`)}</ol>`),
  line: (view) => equals(view, view.terms.length ? short(view.terms[0].value) : nothing),
  caption: ({ family, op }) => (family === "concat" ? "one after the other" : op),
});
