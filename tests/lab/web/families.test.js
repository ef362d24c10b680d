// The arithmetic of the families of steps on small seats by hand; `test_bench.py` compares it with Python on the page.

import assert from "node:assert/strict";
import { test } from "node:test";

// lit-html wants a document when it is loaded; nothing is drawn here.
Object.assign(globalThis, { document: { createTreeWalker() {}, createComment() {} } });
const { familyOf, fed } = await import("../../../src/convlens/lab/web/families/table.js");
const { Laid, covers } = await import("../../../src/convlens/lab/web/laid.js");

const AXIS = { size: 2, stride: 2, dilation: 1, before: 0, after: 0, transposed: false, inputs: 4, outputs: 2, adaptive: false };
const NET = { value: () => ({ shape: [1, 1, 4, 4] }), said: () => "x", map: () => "", isPicture: () => false };

/**
 * The seats of a number, as the lab's answer has them.
 * @param {string} family @param {Record<string, [shape: number[], numbers: number[]]>} seats @param {number[]} index
 * @param {{ windows?: object[], op?: string, detail?: object, channel?: number }} [facts]
 */
function laid(family, seats, index, { windows = [], op = "", detail = {}, channel } = {}) {
  let start = 0;
  const rows = Object.entries(seats).map(([role, [shape, numbers]]) => {
    const row = { role: role.replace(/\d$/, (d) => (role === "in2" ? d : "")), value: 0, at: [0], shape, start };
    start += numbers.length;
    return row;
  });
  const numbers = Float64Array.from(Object.values(seats).flatMap(([, list]) => list));
  const answer = { family, index, detail, seats: rows, numbers, channel: channel ?? null, channels: [], recorded: 0, total: 0, value: 0, rule: "" };
  return new Laid(/** @type {any} */ (answer), /** @type {any} */ ({ op, windows, family, x: [] }), /** @type {any} */ (NET), null);
}

/** What a place comes to, and the products that are not 0 as [where, value, weight]. @param {any} bench @param {number[]} place */
function at(bench, place) {
  const family = familyOf(bench, place);
  const terms = family.terms(bench, place);
  return { total: family.total(bench, place, terms), terms: terms.filter((t) => t.weight).map((t) => [t.at, t.value, t.weight]) };
}

const FOUR = [1, -2, 3, 4, 5, 6, -7, 8, 9, 1, 2, 3, 4, 5, 6, 7];

test("a maximum frames the first of the largest, and leaves out the border", () => {
  const bench = laid("max_pool", { in: [[4, 4], FOUR], out: [[2, 2], [6, 8, 9, 7]] }, [0, 0, 0, 0], { windows: [AXIS, AXIS] });
  assert.deepEqual(at(bench, [0, 1]), { total: 8, terms: [[[1, 3], 8, 1]] });
  const padded = { ...AXIS, size: 3, before: 1 };
  const border = laid("max_pool", { in: [[4], [-5, -2, -2, -9]], out: [[2], [-2, -2]] }, [0, 0, 0], { windows: [padded] });
  assert.deepEqual(at(border, [0]), { total: -2, terms: [[[1], -2, 1]] });
  assert.equal(familyOf(border).terms(border, [0]).length, 3);
  const lost = laid("max_pool", { in: [[2], [9, NaN]], out: [[1], [NaN]] }, [0, 0, 0], { windows: [{ ...AXIS, outputs: 1, inputs: 2 }] });
  assert.ok(Number.isNaN(at(lost, [0]).total));
});

test("an average divides by what counts", () => {
  const padded = { ...AXIS, size: 3, before: 1 };
  const mean = (/** @type {object} */ detail, /** @type {number[]} */ place) => at(laid("avg_pool", { in: [[4], [1, 2, 3, 6]], out: [[2], [0, 0]] }, [0, 0, 0], { windows: [padded], detail }), place);
  assert.deepEqual(mean({ counts_padding: true, padded: [6] }, [0]), { total: 1, terms: [[[0], 1, 1 / 3], [[1], 2, 1 / 3]] });
  assert.equal(mean({ counts_padding: false, padded: [6] }, [0]).total, 1.5);
  assert.equal(mean({ override: 2, padded: [6] }, [1]).total, 5.5);
  const adaptive = { ...AXIS, adaptive: true, inputs: 4, outputs: 3 };
  assert.deepEqual(at(laid("avg_pool", { in: [[4], [1, 2, 3, 6]], out: [[3], [0, 0, 0]] }, [0, 0, 0], { windows: [adaptive], detail: { counts_padding: false } }), [1]).total, 2.5);
});

test("an input cell feeds the places whose window holds it", () => {
  const axis = { ...AXIS, size: 3, stride: 1, inputs: 4, outputs: 2 };
  const bench = laid("max_pool", { in: [[4], [1, 5, 2, 7]], out: [[2], [5, 7]] }, [0, 0, 0], { windows: [axis] });
  assert.deepEqual(fed(bench, [1]).map(({ at, weight, product }) => [at, weight, product]), [[[0], 1, 5], [[1], 0, 0]]);
});

test("a row of weights is summed over the maps that the row was, of every output where all rows are here", () => {
  const seats = { in: /** @type {[number[], number[]]} */ ([[4], [1, 2, 3, 4]]), bias: /** @type {[number[], number[]]} */ ([[], [0.5]]), out: /** @type {[number[], number[]]} */ ([[2], [0, 0]]) };
  const one = laid("linear", { ...seats, kernel: [[4], [1, 0, -1, 2]] }, [0, 0], { detail: { origin: { value: 3, shape: [2, 1, 2] } } });
  assert.deepEqual(at(one, [0]), { total: 6.5, terms: [[[0, 0, 0], 1, 1], [[1, 0, 0], 3, -1], [[1, 0, 1], 4, 2]] });
  assert.deepEqual(at(one, [1]).terms, []);
  assert.ok(!one.knows([1]) && !covers(one.answer, [0, 1]));
  const all = laid("linear", { ...seats, kernel: [[2, 4], [1, 0, -1, 2, 1, 1, 1, 1]], bias: [[2], [0.5, -1]] }, [0, 0]);
  assert.equal(at(all, [1]).total, 9);
  assert.ok(covers(all.answer, [0, 1]) && !covers(all.answer, [1, 1]));
});

test("softmax goes along its own axis, and no power overflows", () => {
  const bench = laid("softmax", { in: [[3], [1000, 1000, 900]], out: [[3], [0.5, 0.5, 0]] }, [0, 1, 2, 3], { detail: { dim: 1 } });
  assert.deepEqual(bench.placeOf([0, 2, 2, 3]), [2]);
  assert.deepEqual(bench.indexOf([0]), [0, 0, 2, 3]);
  assert.ok(covers(bench.answer, [0, 2, 2, 3]) && !covers(bench.answer, [0, 1, 2, 4]));
  assert.equal(at(bench, [0]).total, 0.5);
  const log = laid("softmax", { in: [[2], [0, 0]], out: [[2], [0, 0]] }, [0, 0], { detail: { dim: 1, log: true, negated: true } });
  assert.equal(at(log, [0]).total, -Math.log(2));
});

test("two values are added, subtracted, multiplied and divided number by number", () => {
  const two = (/** @type {string} */ family, /** @type {object} */ detail) => at(laid(family, { in: [[2], [6, 7]], in2: [[2], [2, -4]], out: [[2], [0, 0]] }, [0, 0], { detail }), [1]).total;
  assert.equal(two("add", { sign: "+" }), 3);
  assert.equal(two("add", { sign: "-", alpha: 0.5 }), 9);
  assert.equal(two("multiply", { sign: "×" }), -28);
  assert.equal(two("multiply", { sign: "/" }), -1.75);
});

test("a norm takes the mean away, divides, scales and shifts", () => {
  const bench = laid("norm", { in: [[2], [4, 10]], mean: [[], [2]], deviation: [[], [4]], scale: [[2], [1, 3]], shift: [[], [-1]], out: [[2], [0, 0]] }, [0, 0]);
  assert.deepEqual([at(bench, [0]).total, at(bench, [1]).total], [-0.5, 5]);
  const bare = laid("norm", { in: [[1], [4]], deviation: [[], [2]], out: [[1], [0]] }, [0]);
  assert.equal(at(bare, [0]).total, 2);
});

test("resampling takes a fraction of each cell along every axis", () => {
  const bench = laid("resample", { in: [[2, 2], [1, 2, 3, 4]], out: [[1, 2], [0, 0]], taps1: [[1, 2, 2], [0, 0.5, 1, 0.5]], taps2: [[2, 2, 2], [0, 1, -1, 0, 0, 0.25, 1, 0.75]] }, [0, 0, 0, 0]);
  assert.deepEqual(at(bench, [0, 0]), { total: 2, terms: [[[0, 0], 1, 0.5], [[1, 0], 3, 0.5]] });
  assert.equal(at(bench, [0, 1]).total, 2.75);
});

test("a view hands a number on from where it stood; what came from elsewhere is asked for", () => {
  const bench = laid("move", { in: [[2, 2], [1, 2, 3, 4]], out: [[4], [4, 3, 0, 1]], origin: [[4], [3, 2, -1, 0]] }, [0, 0]);
  assert.deepEqual(at(bench, [1]), { total: 3, terms: [[[1, 0], 3, 1]] });
  assert.deepEqual(familyOf(bench).around(bench, [1, 1]), [0]);
  assert.ok(!bench.knows([2]) && !covers(bench.answer, [2]));
});

test("of joined values the one that holds the number is known", () => {
  const channels = laid("concat", { in: [[2], [5, 6]], out: [[2], [5, 6]] }, [0, 7, 1], { detail: { dim: 1, operand: 1, offset: 4 } });
  assert.deepEqual(at(channels, [1]).terms, [[[1], 6, 1]]);
  const along = laid("concat", { in: [[2], [5, 6]], out: [[5], [1, 2, 3, 5, 6]] }, [0, 3], { detail: { dim: 1, operand: 1, offset: 3 } });
  assert.deepEqual(at(along, [3]).terms, [[[0], 5, 1]]);
  assert.ok(!along.knows([4]) && covers(channels.answer, [0, 7, 0]));
});

test("a reduction knows the number that was asked for", () => {
  const bench = laid("reduce", { in: [[2, 2], [1, 2, 3, 6]], out: [[3], [3, 0, 0]] }, [0, 0], { op: "mean" });
  assert.equal(at(bench, [0]).total, 3);
  assert.deepEqual(at(bench, [1]).terms, []);
  const largest = laid("reduce", { in: [[3], [1, 7, 7]], out: [[1], [7]] }, [0], { op: "amax" });
  assert.deepEqual(at(largest, [0]), { total: 7, terms: [[[1], 7, 1]] });
});

test("a convolution sums the maps of its group, a transposed one what lands", () => {
  const axis = { ...AXIS, size: 2, stride: 1, before: 1, inputs: 2, outputs: 3 };
  const seats = { in: /** @type {[number[], number[]]} */ ([[2, 2], [1, 2, 3, 4]]), kernel: /** @type {[number[], number[]]} */ ([[2, 2], [1, 10, -1, 2]]), bias: /** @type {[number[], number[]]} */ ([[], [0.5]]), out: /** @type {[number[], number[]]} */ ([[3], [0, 0, 0]]) };
  const conv = laid("conv", seats, [0, 0, 0], { windows: [axis], channel: 5, detail: { first: 4 } });
  assert.deepEqual(at(conv, [0]), { total: 16.5, terms: [[null, 0, -1], [[0], 3, 2]] });
  assert.equal(at(conv, [1]).total, 1 + 20 - 3 + 8 + 0.5);
  const turned = { ...AXIS, size: 3, stride: 2, transposed: true, inputs: 2, outputs: 5 };
  const spread = laid("transposed", { in: [[1, 2], [1, 2]], kernel: [[1, 3], [1, 10, 100]], out: [[5], [0, 0, 0, 0, 0]] }, [0, 0, 0], { windows: [turned], channel: 0, detail: { first: 0 } });
  assert.deepEqual(at(spread, [2]), { total: 102, terms: [[[1], 2, 1], [[0], 1, 100]] });
});
