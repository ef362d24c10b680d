// Why an output has its size, and where maps lie on a canvas: the arithmetic that is written is the one that holds.

import assert from "node:assert/strict";
import { test } from "node:test";
import { arranged } from "../../../src/convlens/lab/web/parts/maps.js";
import { arithmetic, whySize } from "../../../src/convlens/lab/web/parts/steps.js";

const AXIS = { size: 3, stride: 1, dilation: 1, before: 1, after: 1, transposed: false, inputs: 8, outputs: 8, adaptive: false };

/** Compute what a text says. @param {string} text */
const computed = (text) => Number(new Function(`return ${text.replaceAll("⌊", "Math.floor(").replaceAll("⌋", ")").replaceAll("×", "*").replaceAll("−", "-")}`)());

test("the arithmetic of every window gives its outputs", () => {
  let checked = 0;
  for (const size of [1, 2, 3, 5]) for (const stride of [1, 2, 3]) for (const dilation of [1, 2]) for (const [before, after] of [[0, 0], [1, 1], [1, 2]]) for (const inputs of [5, 8, 13]) {
    const extent = dilation * (size - 1) + 1;
    const outputs = Math.floor((inputs + before + after - extent) / stride) + 1;
    if (outputs < 1) continue;
    assert.equal(computed(arithmetic({ ...AXIS, size, stride, dilation, before, after, inputs, outputs })), outputs);
    const larger = (inputs - 1) * stride + extent - before - after;
    if (larger < 1) continue;
    assert.equal(computed(arithmetic({ ...AXIS, size, stride, dilation, before, after, inputs, outputs: larger, transposed: true })), larger);
    checked++;
  }
  assert.ok(checked > 150);
});

test("a size is explained once where axes agree, and for each where they differ", () => {
  assert.deepEqual(whySize([AXIS, AXIS]), ["⌊(8 + 2 − 3) / 1⌋ + 1 = 8 columns"]);
  const wide = { ...AXIS, dilation: 2, before: 2, after: 2 };
  assert.deepEqual(whySize([AXIS, wide]), ["⌊(8 + 2 − 3) / 1⌋ + 1 = 8 rows", "⌊(8 + 4 − (2 × 2 + 1)) / 1⌋ + 1 = 8 columns"]);
  const up = { ...AXIS, size: 2, stride: 2, before: 0, after: -1, inputs: 4, outputs: 9, transposed: true };
  assert.deepEqual(whySize([up]), ["(4 − 1) × 2 + 2 + 1 = 9 positions"]);
  const pool = { ...AXIS, size: 7, stride: 7, before: 0, after: 0, inputs: 7, outputs: 1, adaptive: true };
  assert.deepEqual(whySize([pool, pool]), ["1 column, as asked for: each reads all 7"]);
  assert.deepEqual(whySize([{ ...up, outputs: 8 }], "resample"), ["2 × 4 = 8 positions"]);
  assert.deepEqual(whySize([]), []);
});

test("maps are as large as they fit, and never so small that they cannot be seen", () => {
  const shown = (/** @type {number} */ maps, /** @type {number} */ width) => /** @type {MapsShown} */ (/** @type {unknown} */ (
    { sheet: { rows: 8, columns: 8, maps }, frames: 1, room: { width, height: 400 }, zoom: 0 }));
  for (const count of [1, 5, 24, 2048]) for (const room of [180, 366, 900]) for (const kernel of [undefined, () => null]) {
    const { across, width, step } = arranged({ ...shown(count, room), kernel });
    assert.ok(across * step[0] - 8 <= room - 3, `${count} ${room}`);
    assert.ok(width >= Math.min(40, room / 3));
    if (count <= 24 && room === 900) assert.ok(Math.ceil(count / across) * step[1] <= 400);
  }
  assert.equal(arranged({ ...shown(24, 366), across: 3 }).across, 3);
  assert.equal(arranged({ ...shown(8, 900), frames: 4 }).beside, 2);
});
