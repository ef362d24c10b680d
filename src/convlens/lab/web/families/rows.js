// Rows of numbers on the bench that become one number each: weighed and added, shared out, or reduced.

import { html, nothing } from "../vendor/lit-html.js";
import { largest } from "../colours.js";
import { cut } from "../laid.js";
import { percent, plural, same, short, tight, unravel } from "../numbers.js";
import { equals, family, products, ratio, strongest, sum, total } from "./family.js";

/** The weights of the place's own row. @param {Laid} laid @param {number[]} place */
function weights(laid, place) {
  const kernel = laid.seat("kernel");
  return kernel ? (kernel.shape.length === 2 ? cut(kernel, place[0]) : kernel).numbers : [];
}

/** @type {Of<number>} */
const bias = (laid, place) => (laid.answer.detail.beta ?? 1) * laid.number("bias", place);

export const linear = family({
  terms: (laid, place) => {
    const row = weights(laid, place), { alpha = 1 } = laid.answer.detail, { shown } = laid;
    return Array.from(shown?.numbers ?? [], (value, i) => {
      const at = unravel(i, shown?.shape ?? []), weight = row[i] * alpha;
      return { at, k: at, value, weight, product: value * weight };
    });
  },
  total: (laid, place, terms) => sum(terms) + bias(laid, place),
  around: ({ here }) => here,
  lit: (_, __, terms) => strongest(terms)[0].flatMap(({ at }) => (at ? [at] : [])),
  sentence: ({ laid, place, terms, made }) => {
    const { net, answer } = laid, name = net.category(answer.value, place[0]);
    const what = name === null ? `Number ${place[0]} of ${net.said(answer.value)}` : `The score of ${net.told.random ? name : `“${name}”`}`;
    return `${what}: all ${plural(terms.length, "number")}, each times its weight${laid.seat("bias") ? `, plus the bias ${short(bias(laid, place))}` : ""}: ${short(made)}.`;
  },
  middle: ({ laid, place, strong, width, stage: { bench } }) => {
    const { weights: cells } = bench, shape = laid.shown?.shape ?? [];
    if (bench.weighed?.laid !== laid || !same(bench.weighed.place, place)) {
      const wrap = shape.length === 1 && shape[0] > 12 ? Math.ceil(Math.sqrt(shape[0] * 1.4)) : undefined;
      cells.show({ numbers: Float64Array.from(weights(laid, place)), shape, width, height: width, cell: 40, wrap, span: largest(laid.seat("kernel")?.numbers ?? []) });
      bench.weighed = { laid, place };
    }
    cells.light({ cells: strong ? [strong] : [] });
    return html`<div class="kernel">${cells.el}</div>`;
  },
  line: (view) => {
    const { laid, place, terms } = view;
    return html`${products(view, 10)}${total(view, [[sum(terms), ""], ...(laid.seat("bias") ? [/** @type {[number, string]} */ ([bias(laid, place), "bias"])] : [])])}`;
  },
  sign: () => "×", caption: () => "weights",
});

/** The powers of a row's scores, all less the largest so that none overflows. @param {Laid} laid @param {number[]} place */
function powers(laid, [own]) {
  const { log, negated } = laid.answer.detail, scores = Array.from(laid.seat("in")?.numbers ?? [], (x) => (negated ? -x : x));
  const most = scores.reduce((a, b) => Math.max(a, b), -Infinity), all = scores.map((x) => Math.exp(x - most)), sum = all.reduce((a, b) => a + b, 0);
  return { scores, most, all, sum, share: log ? scores[own] - most - Math.log(sum) : all[own] / sum };
}

export const softmax = family({
  terms: (laid, place) => {
    const { all, sum } = powers(laid, place);
    return Array.from(laid.seat("in")?.numbers ?? [], (value, i) => ({ at: [i], k: [i], value, weight: all[i] / sum, product: all[i] / sum }));
  },
  total: (laid, place) => powers(laid, place).share,
  lit: (_, place) => [place],
  sentence: ({ laid, place: [at], terms, made }) => {
    const { net, answer: { value, detail } } = laid, found = net.category(value, at);
    const name = found === null ? `Number ${at}` : net.told.random ? `${found[0].toUpperCase()}${found.slice(1)}` : `“${found}”`;
    return `${name} scored ${short(terms[at]?.value ?? NaN)}. ${detail.negated ? "e to minus that power" : "e to that power"}, divided by the sum over all ${terms.length}, is ${
      detail.log ? `a share, and its logarithm is ${short(made)}` : `a share of ${percent(made)}`}.`;
  },
  middle: ({ laid: { answer: { detail }, out } }) => html`<div class="kernel"><p class="each">${ratio(html`e<sup>${detail.negated ? "−score" : "score"}</sup>`, `sum over all ${out.numbers.length}`)}</p>${
    detail.log ? html`<p class="soft">and its logarithm</p>` : nothing}</div>`,
  line: (view) => {
    const { laid, place } = view, { scores, most, all, sum } = powers(laid, place), own = all[place[0]];
    const power = (/** @type {number} */ i) => html`e<sup>${short(scores[i])}</sup>`;
    const top = [...scores.keys()].sort((a, b) => scores[b] - scores[a]).slice(0, 3), rest = scores.length - top.length;
    const fraction = ratio(power(place[0]), html`${top.map((i, at) => html`${at ? " + " : ""}${power(i)}`)}${rest ? ` + ${plural(rest, "other")}` : ""}`);
    const by = Math.exp(most);
    const less = most > 80 ? `with every score less ${short(most)}, which changes no share: ${short(own)} ÷ ${short(sum)}` // the powers themselves would be of no use to a reader
      : `${short(own * by)} ÷ ${short(sum * by)}`;
    return html`<p class="rest">${less}</p>${equals(view, laid.answer.detail.log ? html`log ${fraction}` : fraction)}`;
  },
  caption: () => "softmax",
});

/** @param {number[]} list */
const add = (list) => list.reduce((a, b) => a + b, 0);

/** What a reduction does with numbers. @type {Record<string, (list: number[]) => number>} */
const RULES = {
  sum: add,
  mean: (list) => add(list) / list.length,
  amax: (list) => list.reduce((a, b) => (b > a || Number.isNaN(b) ? b : a)),
  amin: (list) => list.reduce((a, b) => (b < a || Number.isNaN(b) ? b : a)),
};

/** @type {Record<string, string>} */
const NAMES = { amax: "largest", amin: "least", var: "variance", std: "standard deviation", prod: "product", logsumexp: "logarithm of the sum of powers of e" };

/** @param {Laid} laid */
const said = ({ op }) => NAMES[op] ?? op.replaceAll("_", " ");

export const reducing = family({
  terms: ({ shown, op }) => {
    const numbers = Array.from(shown?.numbers ?? []), winner = op === "amax" || op === "amin" ? numbers.indexOf(RULES[op](numbers)) : null;
    return numbers.map((value, i) => {
      const at = unravel(i, shown?.shape ?? []), won = i === winner, weight = winner === null ? (op === "mean" ? 1 / numbers.length : 1) : Number(won);
      return { at, k: at, value, weight, product: weight ? value * weight : 0, ...(winner === null ? {} : { won }) };
    });
  },
  total: (laid, place, terms) => RULES[laid.op]?.(terms.map(({ value }) => value)) ?? laid.recorded(place),
  around: ({ here }) => here,
  sentence: ({ laid, terms, made }) => {
    const { shown } = laid, part = shown?.at.some((n, axis) => axis) ? `, ${laid.part(shown)}` : "";
    return `The ${said(laid)} of all ${plural(terms.length, "number")}${shown?.value == null ? "" : ` of ${laid.source}${part}`}: ${short(made)}.`;
  },
  middle: ({ laid: { op }, terms }) => (op === "mean" ? html`<p class="each">each × ${ratio(1, terms.length)}</p>` : nothing),
  line: (view) => {
    const { laid, terms } = view, adds = /^(sum|mean)$/.test(laid.op), count = terms.length, by = laid.op === "mean" ? ` ÷ ${count}` : "";
    const list = (count > 9 ? [...terms].sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, 9) : terms).map(({ value }) => value);
    if (!adds) return equals(view, `${said(laid)} of ${list.map(tight).join(", ")}${count > 9 ? ` and ${plural(count - 9, "other")}` : ""}`);
    if (count > 9) return equals(view, `sum of ${count} numbers${by && ` ${short(add(terms.map(({ value }) => value)))}${by}`}`);
    const written = list.map((x) => (x < 0 ? `(${tight(x)})` : tight(x))).join(" + ");
    return equals(view, by ? `(${written})${by}` : written);
  },
  caption: (laid) => `the ${said(laid)}`,
});
