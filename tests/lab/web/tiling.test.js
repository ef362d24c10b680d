// Tiles: every cell is found at its own place, and keys move to the neighbour that is seen.

import assert from "node:assert/strict";
import { test } from "node:test";
import { GAP, LABEL, MARGIN, Tiling } from "../../../src/convlens/lab/web/tiling.js";

const ROOM = { width: 640, height: 480 };
const map = (/** @type {Partial<ConstructorParameters<typeof Tiling>[0]>} */ what) =>
  ({ maps: 1, columns: 8, rows: 8, length: 64, wrapped: false, strip: false, ...what });

const CASES = {
  "one map": map({}),
  "24 maps": map({ maps: 24 }),
  "2,048 small maps": map({ maps: 2048, columns: 7, rows: 7, length: 49 }),
  "a map larger than the room": map({ columns: 900, rows: 700, length: 630000 }),
  "strips": map({ maps: 6, columns: 256, rows: 1, length: 256, strip: true }),
  "a wrapped row of 192": map({ columns: 32, rows: 6, length: 192, wrapped: true }),
  "a wrapped row of 70": map({ columns: 32, rows: 3, length: 70, wrapped: true }),
};

/** Some cells of every map. @param {Tiling} tiling */
function* some(tiling) {
  const { maps, columns, rows, length, wrapped } = tiling;
  for (const tile of new Set([0, 1, maps >> 1, maps - 1].filter((t) => t < maps))) {
    if (wrapped) for (let column = 0; column < length; column++) yield { tile, row: 0, column };
    else for (const row of [0, rows >> 1, rows - 1]) for (const column of [0, columns >> 1, columns - 1]) yield { tile, row, column };
  }
}

for (const [name, what] of Object.entries(CASES)) {
  for (const zoom of [-12, -2, 0, 3, 12]) {
    test(`${name}, zoom ${zoom}: every cell is hit in its middle and at its corner`, () => {
      const tiling = new Tiling(what, ROOM, zoom);
      for (const cell of some(tiling)) {
        const box = tiling.box(cell);
        assert.deepEqual(tiling.hit(box.x + box.width / 2, box.y + box.height / 2), cell);
        assert.ok(box.x >= MARGIN && box.x + box.width <= tiling.total.width - MARGIN + 1e-9);
        assert.ok(box.y >= MARGIN + LABEL && box.y + box.height <= tiling.total.height - MARGIN + 1e-9);
      }
    });
  }
}

test("maps that fit are laid out without scrolling, and no larger cell would fit", () => {
  const tiling = new Tiling(CASES["24 maps"], ROOM, 0);
  assert.deepEqual(tiling.total, ROOM);
  const larger = new Tiling(CASES["24 maps"], ROOM, 1);
  assert.ok(larger.width > tiling.width);
  assert.ok(larger.total.height > ROOM.height);
});

test("maps too many to fit are still large enough to be seen", () => {
  const tiling = new Tiling(CASES["2,048 small maps"], ROOM, 0);
  assert.ok(7 * tiling.width >= 26);
  assert.ok(tiling.total.height > ROOM.height);
  assert.equal(tiling.total.width, ROOM.width);
});

test("between maps, and outside of them, nothing is hit", () => {
  const tiling = new Tiling(CASES["24 maps"], ROOM, 0);
  const { x, y } = tiling.corner(0);
  const across = tiling.columns * tiling.width;
  for (const [at, down] of [[x - 1, y], [x, y - 1], [x + across + GAP / 2, y], [-5, -5], [1e4, 1e4]]) {
    assert.equal(tiling.hit(at, down), null);
  }
  const wrapped = new Tiling(CASES["a wrapped row of 70"], ROOM, 0);
  const last = wrapped.box({ tile: 0, row: 0, column: 69 });
  assert.equal(wrapped.hit(last.x + 1.5 * last.width, last.y + 1), null);
});

test("an arrow at the edge of a map goes to the neighbouring map", () => {
  const tiling = new Tiling(CASES["24 maps"], ROOM, 0);
  const { across } = tiling;
  const at = { tile: 1, row: 3, column: 0 };
  assert.deepEqual(tiling.moved(at, 0, 1), { tile: 1, row: 3, column: 1 });
  assert.deepEqual(tiling.moved(at, 0, -1), { tile: 0, row: 3, column: 7 });
  assert.deepEqual(tiling.moved({ ...at, row: 7 }, 1, 0), { tile: 1 + across, row: 0, column: 0 });
  assert.deepEqual(tiling.moved({ ...at, tile: 1 + across, row: 0 }, -1, 0), { tile: 1, row: 7, column: 0 });
});

test("an arrow at the edge of the sheet stays", () => {
  const tiling = new Tiling(CASES["one map"], ROOM, 0);
  for (const [down, right] of [[-1, 0], [0, -1]]) {
    assert.deepEqual(tiling.moved({ tile: 0, row: 0, column: 0 }, down, right), { tile: 0, row: 0, column: 0 });
  }
  const wrapped = new Tiling(CASES["a wrapped row of 70"], ROOM, 0);
  const end = { tile: 0, row: 0, column: 69 };
  assert.deepEqual(wrapped.moved(end, 0, 1), end);
  assert.deepEqual(wrapped.moved(end, -1, 0), { tile: 0, row: 0, column: 37 });
});

test("the same cell of another map, up to the first and the last", () => {
  const tiling = new Tiling(CASES["24 maps"], ROOM, 0);
  const cell = { tile: 5, row: 2, column: 3 };
  assert.deepEqual([1, -9, Infinity].map((by) => tiling.tileBy(cell, by).tile), [6, 0, 23]);
});
