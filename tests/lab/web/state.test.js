import assert from "node:assert/strict";
import test from "node:test";

import { START, changes, format, parse } from "../../../src/convlens/lab/web/state.js";

test("a state survives the address bar", () => {
  const state = {
    ...START, at: "layer1.0.conv1#2", index: [0, 5, 6, 4], near: "number", way: "feeds", from: [0, 0, 3, 3], channel: 22,
    trail: [{ at: "relu@1", index: [0, 1] }, { at: "a!b;c", index: [] }],
    set: [
      { at: "conv1.weight", index: [5, 0, 2, 2], to: -1.25 }, { at: "input", index: [0, 0, 1, 1], to: 3e-9 },
      { at: "conv1", index: 5, to: "mute" }, { at: "conv1", index: "stride", to: 2 },
    ],
    with: "cat.jpg", open: ["layer3", "layer4.0"], scale: "step", zoom: -2, found: 4, station: 1, least: 30, tint: 10,
  };
  assert.deepEqual(parse(format(state)), state);
});

test("defaults are left out, and what cannot be read is as if it were not there", () => {
  assert.equal(format({ ...START, at: "conv1", index: [0, 0] }), "at=conv1&index=0,0");
  assert.deepEqual(parse(""), START);
  for (const text of ["near=far", "way=up", "index=1,x", "channel=-1", "set=conv1:2", "set=a!0:NaN", "set=a!b!c", "set=a!groups:2", "trail=x", "zoom=nan", "at=%E0%A4%A", "least=", "set=conv1!stride:", "&&==&"]) {
    assert.deepEqual(parse(text), START, text);
  }
  assert.equal(parse("least=900").least, 100);
  assert.equal(parse("zoom=99").zoom, 12);
});

test("changes are written as the lab reads them", () => {
  const set = [{ at: "conv1.weight", index: [5, 0, 2, 2], to: -1.2 }, { at: "conv1", index: 5, to: "mute" }, { at: "pool 1", index: "stride", to: 2 }];
  assert.equal(changes(set), "conv1.weight!5,0,2,2:-1.2;conv1!5:mute;pool%201!stride:2");
  assert.equal(changes([]), "");
});
