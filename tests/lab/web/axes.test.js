// Axes: each cell of a sheet is one element of the value, and each element shown is one cell.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Axes } from "../../../src/convlens/lab/web/axes.js";
import { START } from "../../../src/convlens/lab/web/state.js";

/** A sheet as the lab sends it, without its numbers. */
function sheet(/** @type {number[]} */ shape, /** @type {string[]} */ axes, /** @type {object} */ what) {
  const { plane, sliced } = /** @type {{ plane: number, sliced: boolean }} */ (what);
  const lead = shape.slice(sliced ? 1 : 0, shape.length - plane);
  const [rows, columns] = [1, 1, ...shape].slice(shape.length - plane + 2 - (2 - plane)).slice(-2);
  return {
    value: 0, dtype: "float32", shape, axes, first: 0, running: null, largest: 1, negative: true,
    maps: lead.reduce((a, b) => a * b, 1), rows: plane < 2 ? 1 : rows, columns: plane ? columns : 1,
    low: new Float32Array(), high: new Float32Array(), codes: new Uint8Array(), exact: null, ...what,
    plane, sliced,
  };
}

const SHEETS = {
  maps: sheet([2, 5, 3, 4], ["sample", "channel", "row", "column"], { plane: 2, sliced: true, running: 1, first: 1 }),
  clip: sheet([1, 3, 4, 2, 5], ["sample", "channel", "frame", "row", "column"], { plane: 2, sliced: true, running: 1 }),
  kernel: sheet([4, 3, 2, 2], ["output channel", "input channel", "row", "column"], { plane: 2, sliced: true, running: 1, first: 3 }),
  signal: sheet([1, 3, 7], ["sample", "channel", "position"], { plane: 1, sliced: true, running: 1 }),
  features: sheet([1, 6], ["sample", "feature"], { plane: 1, sliced: true }),
  table: sheet([3, 4], ["row", "column"], { plane: 2, sliced: false }),
  number: sheet([], [], { plane: 0, sliced: false }),
};

for (const [name, each] of Object.entries(SHEETS)) {
  test(`${name}: a cell is an element, and the element is that cell`, () => {
    const axes = new Axes(each, START);
    const seen = new Set();
    axes.maps.forEach((_, tile) => {
      for (let row = 0; row < each.rows; row++) {
        for (let column = 0; column < each.columns; column++) {
          const index = axes.index({ tile, row, column });
          assert.equal(index.length, each.shape.length);
          index.forEach((i, axis) => assert.ok(i >= 0 && i < each.shape[axis]));
          assert.deepEqual(axes.cell(index), { tile, row, column });
          seen.add(String(index));
        }
      }
    });
    assert.equal(seen.size, axes.maps.length * each.rows * each.columns);
  });
}

test("an element of another slice, or of a frame that is not shown, has no cell", () => {
  assert.equal(new Axes(SHEETS.maps, START).cell([0, 2, 1, 1]), null);
  const clip = new Axes(SHEETS.clip, { ...START, held: [0, 0, 2] });
  assert.equal(clip.cell([0, 1, 3, 0, 0]), null);
  assert.deepEqual(clip.cell([0, 1, 2, 1, 4]), { tile: 1, row: 1, column: 4 });
});

test("a clip shows channels at one frame, or frames of one channel", () => {
  const channels = new Axes(SHEETS.clip, { ...START, held: [0, 0, 2] });
  assert.deepEqual(channels.maps, [2, 6, 10]);
  assert.deepEqual(channels.controls().held, [{ axis: 2, name: "frame", size: 4, at: 2 }]);
  const frames = new Axes(SHEETS.clip, { ...START, held: [0, 1, 0], side: 2 });
  assert.deepEqual(frames.maps, [4, 5, 6, 7]);
  assert.deepEqual(frames.controls().choices.map((c) => c.name), ["channel", "frame"]);
  assert.deepEqual(channels.heldStill(), [0, 0, 2, 0, 0]);
});

test("a slice is turned where there is more than one", () => {
  assert.deepEqual(new Axes(SHEETS.kernel, START).controls().first, { name: "output channel", size: 4, at: 3 });
  assert.equal(new Axes(SHEETS.clip, START).controls().first, null);
});

test("an axis turned beyond its end stays at the end", () => {
  const axes = new Axes(SHEETS.clip, START);
  assert.deepEqual([axes.turned(2, 9), axes.turned(2, -1)], [[0, 0, 3], [0, 0, 0]]);
  assert.deepEqual(new Axes(SHEETS.clip, { ...START, held: [0, 0, 99] }).maps, [3, 7, 11]);
});

test("an axis that the value has not is as if it were not asked for", () => {
  assert.deepEqual(new Axes(SHEETS.maps, { ...START, side: 3 }).side, 1);
});

test("a place is said by its axes, without the only sample", () => {
  assert.equal(new Axes(SHEETS.clip, START).words({ tile: 1, row: 0, column: 3 }), "channel 1 · frame 0 · row 0 · column 3");
  assert.equal(new Axes(SHEETS.maps, START).words({ tile: 4, row: 2, column: 0 }), "sample 1 · channel 4 · row 2 · column 0");
});
