// Windows along one axis by hand; the exhaustive comparison with Python is `test_windows.py`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { around, extent, readers, span, spread, taps } from "../../../src/convlens/lab/web/parts/windows.js";

const PLAIN = { size: 3, stride: 1, dilation: 1, before: 0, transposed: false, inputs: 5, outputs: 3, adaptive: false };

test("a padded window has taps on the border", () => {
  const axis = { ...PLAIN, stride: 2, before: 1, outputs: 3 };
  assert.deepEqual(taps(axis, 0), [{ k: 0, i: null }, { k: 1, i: 0 }, { k: 2, i: 1 }]);
  assert.deepEqual(readers(axis, 1), [{ k: 2, o: 0 }, { k: 0, o: 1 }]);
  assert.deepEqual(span(axis, 0, 3), [0, 5]);
  assert.deepEqual([0, 1, 2, 3, 4].map((i) => around(axis, i)), [0, 1, 1, 2, 2]);
});

test("a transposed window has only the taps that land", () => {
  const axis = { ...PLAIN, size: 2, stride: 3, transposed: true, inputs: 2, outputs: 5 };
  assert.deepEqual([0, 1, 2, 3].map((o) => taps(axis, o)), [[{ k: 0, i: 0 }], [{ k: 1, i: 0 }], [], [{ k: 0, i: 1 }]]);
  assert.equal(span(axis, 2, 3), null);
  assert.deepEqual(spread(axis, 1, 2), [3, 5]);
});

test("adaptive windows share the axis, and overlap", () => {
  const axis = { ...PLAIN, adaptive: true };
  assert.deepEqual(taps(axis, 1), [{ k: 0, i: 1 }, { k: 1, i: 2 }, { k: 2, i: 3 }]);
  assert.deepEqual(readers(axis, 1), [{ k: 1, o: 0 }, { k: 0, o: 1 }]);
  assert.equal(extent(axis), 3);
});

test("a stride beyond the size leaves inputs unread", () => {
  const axis = { ...PLAIN, size: 2, stride: 3, inputs: 9, outputs: 3 };
  assert.deepEqual([0, 1, 2, 3].map((i) => readers(axis, i)), [[{ k: 0, o: 0 }], [{ k: 1, o: 0 }], [], [{ k: 0, o: 1 }]]);
});
