// A sheet's maps and the value's indices: there and back, for values of any rank.

import assert from "node:assert/strict";
import { test } from "node:test";

// lit-html wants a document when it is loaded; nothing is drawn here.
Object.assign(globalThis, { document: { createTreeWalker() {}, createComment() {} } });
const { indexIn, placeIn, sizeOf, strongest } = await import("../../../src/convlens/lab/web/sheet.js");
const { factsOf } = await import("../../../src/convlens/lab/web/inspector.js");

/** @param {number[]} shape @param {string[]} axes @param {number} plane @param {boolean} sliced */
function sheet(shape, axes, plane, sliced) {
  const part = sliced ? shape.slice(1) : shape;
  const size = part.reduce((a, b) => a * b, 1);
  const [rows, columns] = plane === 2 ? part.slice(-2) : [1, plane ? part.at(-1) ?? 1 : 1];
  return /** @type {any} */ ({ shape, axes, plane, sliced, first: sliced ? shape[0] - 1 : 0, rows, columns, maps: size / rows / columns, exact: Float32Array.from({ length: size }, (_, i) => ((i * 37) % 101) - 50) });
}

const SHEETS = [
  sheet([2, 3, 4, 5], ["sample", "channel", "row", "column"], 2, true),
  sheet([1, 3, 2, 4, 5], ["sample", "channel", "frame", "row", "column"], 2, true),
  sheet([3, 4, 5], ["channel", "row", "column"], 2, false),
  sheet([1, 3, 7], ["sample", "channel", "position"], 1, true),
  sheet([1, 10], ["sample", "feature"], 1, true),
  sheet([6], ["feature"], 1, false),
  sheet([], [], 0, false),
];

test("every place of every map has an index, and leads back to its map", () => {
  for (const each of SHEETS) {
    const seen = new Set();
    const size = each.rows * each.columns * sizeOf(each).frames;
    for (let map = 0; map < each.maps / sizeOf(each).frames; map++) {
      for (let cell = 0; cell < size; cell++) {
        const index = indexIn(each, map, cell);
        assert.equal(index.length, each.shape.length);
        assert.ok(index.every((i, axis) => i >= 0 && i < each.shape[axis]));
        if (each.sliced) assert.equal(index[0], each.first);
        assert.equal(placeIn(each, index).map, map);
        seen.add(String(index));
      }
    }
    assert.equal(seen.size, each.exact.length);
  }
  assert.deepEqual(SHEETS.map((each) => sizeOf(each).frames), [1, 2, 1, 1, 1, 1, 1]);
});

test("the strongest number of a map is the one of the largest size, with its numbers or their codes", () => {
  for (const each of SHEETS) {
    const size = each.rows * each.columns * sizeOf(each).frames;
    for (let map = 0; map < each.maps / sizeOf(each).frames; map++) {
      const numbers = each.exact.subarray(map * size, (map + 1) * size);
      assert.equal(Math.abs(numbers[strongest(each, map)]), Math.max(...numbers.map(Math.abs)));
    }
  }
  const coded = { ...SHEETS[5], exact: null, codes: Uint8Array.of(0, 128, 1, 200, 0, 255), low: [-9], high: [4] };
  assert.equal(strongest(coded, 0), 2);
  const odd = { ...SHEETS[5], exact: Float32Array.of(NaN, 1, -2, 0, 1, 1) };
  assert.equal(strongest(odd, 0), 2);
});

test("a map's facts leave out what is not finite, and count it", () => {
  assert.deepEqual(factsOf([1, NaN, -3, 0, Infinity]), { low: -3, high: 1, mean: -2 / 3, count: 5, zeros: 1, nans: 1, infinite: 1 });
});
