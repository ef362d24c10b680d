// The terms of a number in the order of their size, and the sum of those that are not listed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { folded, ranked } from "../../../src/convlens/lab/web/parts/ranking.js";

/** @param {string} rule @param {[source: number, value: number, weight: number][]} terms @param {number} [count] @param {number} [products] */
const explained = (rule, terms, count, products) => /** @type {import("../../../src/convlens/lab/web/answers.js").Explained} */ (/** @type {unknown} */ ({
  rule, count: count ?? terms.length, products: products ?? terms.reduce((sum, [, value, weight]) => sum + value * weight, 0),
  groups: [terms.slice(0, 2), terms.slice(2)].map((part) => ({
    source: part.map(([s]) => s), position: part.map((_, i) => i), value: part.map(([, x]) => x), weight: part.map(([, , w]) => w), product: part.map(([, x, w]) => x * w), weight_source: [], weight_position: [],
  })),
}));

test("a sum's terms come by the size of their products, whatever their sign, those of the border apart", () => {
  const all = ranked(explained("sum", [[4, 1, 0.5], [-1, 0, 9], [4, -3, 2], [5, 2, 2]]));
  assert.deepEqual(all.lines.map((line) => line.product), [-6, 4, 0.5]);
  assert.deepEqual([all.edge, all.count], [1, 3]);
});

test("of a choice the winner comes first, then the largest", () => {
  const { lines } = ranked(explained("chosen", [[4, 7, 0], [4, 1, 1], [4, 3, 0], [4, -2, 0]]));
  assert.deepEqual(lines.map((line) => [line.x, line.won]), [[1, true], [7, false], [3, false], [-2, false]]);
});

test("the lines and the others add up to all products", () => {
  const all = ranked(explained("sum", [[4, 1, 1], [4, 2, 1], [4, 4, 1], [4, 8, 1]], 9, 31));
  const { shown, count, sum } = folded(all, 2);
  assert.deepEqual([shown.map((line) => line.product), count, sum], [[8, 4], 7, 19]);
  assert.equal(folded(all, Infinity).count, 5);
});
