// How a value's axes lie on a sheet: which maps are shown, and which element a cell of them is.

import { ravel, unravel } from "./numbers.js";

/**
 * @typedef {import("./answers.js").SheetAnswer} Sheet
 * @typedef {import("./state.js").State} State
 * @typedef {{ tile: number, row: number, column: number }} Cell a cell of a map; tile counts what is laid out
 */

export class Axes {
  /** @param {Sheet} sheet @param {State} state */
  constructor(sheet, state) {
    this.sheet = sheet;
    this.asked = state;
    /** Axes that count maps, as positions in the value's shape. */
    this.lead = sheet.shape.map((_, axis) => axis)
      .slice(sheet.sliced ? 1 : 0, sheet.shape.length - sheet.plane);
    const { side } = state;
    /** The axis laid out side by side. */
    this.side = side !== null && this.lead.includes(side) ? side : sheet.running ?? this.lead[0];
    this.sizes = this.lead.map((axis) => sheet.shape[axis]);
    /** Numbers of the maps laid out, in order. */
    this.maps = this.#shown();
  }

  /** @param {number} axis */
  #held(axis) {
    return Math.min(this.asked.held[axis] ?? 0, this.sheet.shape[axis] - 1);
  }

  #shown() {
    const { sheet, lead, side } = this;
    if (lead.length === 0) return [0].slice(0, sheet.maps);
    const index = lead.map((axis) => this.#held(axis));
    return Array.from({ length: sheet.shape[side] }, (_, i) => {
      index[lead.indexOf(side)] = i;
      return ravel(index, this.sizes);
    });
  }

  /** Return what the reader can turn: the sliced first axis, the axes held still, the one side by side. */
  controls() {
    const { sheet, lead, side } = this;
    const turning = lead.filter((axis) => sheet.shape[axis] > 1);
    const first = { name: sheet.axes[0], size: sheet.shape[0], at: sheet.first };
    return {
      first: sheet.sliced && sheet.shape[0] > 1 ? first : null,
      held: turning.filter((axis) => axis !== side)
        .map((axis) => ({ axis, name: sheet.axes[axis], size: sheet.shape[axis], at: this.#held(axis) })),
      side,
      choices: turning.length > 1 ? turning.map((axis) => ({ axis, name: sheet.axes[axis] })) : [],
    };
  }

  /** Return the axes held still, with one of them turned to another index. @param {number} axis @param {number} at */
  turned(axis, at) {
    const held = [...this.asked.held];
    for (let i = 0; i < axis; i++) held[i] ??= 0;
    held[axis] = Math.max(0, Math.min(this.sheet.shape[axis] - 1, at));
    return held;
  }

  /** Return the indices of the axes held still, zero for all others. */
  heldStill() {
    const still = this.lead.filter((axis) => axis !== this.side);
    return still.length ? this.sheet.shape.map((_, axis) => (still.includes(axis) ? this.#held(axis) : 0)) : [];
  }

  /** Return the index of a cell in the value. @param {Cell} cell @returns {number[]} */
  index(cell) {
    const { sheet } = this;
    const plane = [cell.row, cell.column].slice(2 - sheet.plane);
    return [...(sheet.sliced ? [sheet.first] : []), ...unravel(this.maps[cell.tile], this.sizes), ...plane];
  }

  /** Return the cell of an index, null if the sheet does not show it. @param {number[]} index @returns {Cell | null} */
  cell(index) {
    const { sheet, lead } = this;
    if (sheet.sliced && index[0] !== sheet.first) return null;
    const map = ravel(lead.map((axis) => index[axis]), this.sizes);
    const tile = this.maps.indexOf(map);
    const plane = [0, 0, ...index.slice(sheet.shape.length - sheet.plane)].slice(-2);
    return tile < 0 ? null : { tile, row: plane[0], column: plane[1] };
  }

  /** Return the place of a cell in words. @param {Cell} cell */
  words(cell) {
    const { sheet } = this;
    const index = this.index(cell);
    return sheet.axes
      .flatMap((name, axis) => (sheet.shape[axis] === 1 && name === "sample" ? [] : [`${name} ${index[axis]}`]))
      .join(" · ");
  }
}
