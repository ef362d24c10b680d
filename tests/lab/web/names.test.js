// Names: what an address may call a value.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_NETWORK } from "../../../src/convlens/lab/web/answers.js";
import { inside, valuesByName } from "../../../src/convlens/lab/web/names.js";

const value = (/** @type {number} */ id, /** @type {string} */ name) =>
  ({ id, name, kind: "computed", shape: [1, 2], dtype: "float32" });

test("a module that passes on what one inside it made is a name of that value", () => {
  const values = [value(0, "input"), value(1, "block.conv"), value(2, "block.relu"), value(3, "head")];
  const nodes = [
    { name: "block", path: "block", values: [2], children: [
      { name: "conv", path: "block.conv", values: [1] }, { name: "relu", path: "block.relu", values: [2] },
    ] },
    { name: "head", path: "head", values: [1, 3] },
    { name: "step", values: [0] },
    { name: "empty", path: "empty", values: [] },
  ];
  const named = valuesByName({ ...NO_NETWORK, values, nodes });
  assert.equal(named.get("block"), values[2]);
  assert.equal(named.get("head"), values[3]); // its own name goes before what it passes on
  assert.deepEqual([...named.keys()], ["input", "block.conv", "block.relu", "head", "block"]);
});

test("an index lies inside a shape of as many axes", () => {
  assert.ok(inside([1, 0], [2, 1]));
  assert.ok(inside([], []));
  for (const [index, shape] of [[[2, 0], [2, 1]], [[1], [2, 1]], [[0, 0, 0], [2, 1]]]) assert.ok(!inside(index, shape));
  assert.ok(!inside([0], undefined));
});
