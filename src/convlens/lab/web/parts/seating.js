// How large the seats of the bench are: one cell size in both maps, and one height for one place.

import { Cells } from "./cells.js";

const CELL = 56; // pixels of a cell at most
const RING = 2; // cells of border that are drawn at most

/** @param {Laid} laid @param {{ room: number, height: number }} stage @returns {Seating} */
export function seating(laid, { room: width, height }) {
  const narrow = width < 860;
  const { shown, out, step } = laid;
  const axes = step?.windows ?? [];
  const second = laid.seat("in2");
  const large = (shown?.shape.at(-1) ?? 1) > 28 && laid.seat("kernel");
  const middle = narrow || !shown || second ? 0 : large ? Math.min(width * 0.34, 420) : 232;
  const side = narrow ? (width - 12) / 2 : Math.min(560, (width - middle - 104) / (1 + Number(Boolean(shown)) + Number(Boolean(second))));
  const most = { width: side, height: Math.max(240, narrow ? Math.min(side, height - 320) : height - 500) };
  const seats = { narrow, most, middle: narrow ? Math.max(120, width * 0.42) : Math.max(middle, 160), cellIn: CELL, cellOut: CELL, ring: [0, 0], dropIn: 0, dropOut: 0 };
  const last = axes.at(-1);
  if (!last || !shown || axes.length !== out.shape.length || shown.shape.length !== axes.length || axes.some((a) => a.adaptive)) return seats;
  const { stride, transposed } = last;
  if (!transposed && stride === 1 && (shown.shape.at(-1) ?? 0) < 30) {
    const before = axes.slice(-2).map((a) => Math.min(RING, a.before));
    seats.ring = before.length === 2 ? before : [0, before[0]];
  }
  const [big, small] = transposed ? [1, stride] : [stride, 1]; // how much larger a cell of the output is, of the input
  const fit = (/** @type {Seat} */ { shape }, /** @type {number} */ times, /** @type {number[]} */ ring) => Cells.fit({ shape, ...most, ring, cell: CELL * times }) / times;
  let unit = Math.min(fit(shown, small, seats.ring), fit(out, big, [0, 0]), CELL);
  if (unit * Math.min(big, small) >= 6) unit = Math.floor(unit);
  const extent = (last.size - 1) * last.dilation + 1;
  // The middle of the first window, from the top of the input's canvas, less half a cell of the output.
  const drop = axes.length > 1 && !transposed ? Math.round((seats.ring[0] + (extent - 1) / 2 - last.before + 0.5 - stride / 2) * unit) : 0;
  return { ...seats, cellIn: unit * small, cellOut: unit * big, dropIn: Math.max(0, -drop), dropOut: Math.max(0, drop) };
}

/** Columns of a long row of numbers that is folded into several; undefined for a map. @param {Laid} laid @param {Seat} seat */
export function folded({ step }, { shape }) {
  return !step?.windows.length && shape.length === 1 && shape[0] > 64 ? Math.ceil(Math.sqrt(shape[0] * 1.4)) : undefined;
}

/** Whether a seat is read best as named bars. @param {Laid} laid @param {Seat} seat */
export function barred({ step, net }, { value, shape }) {
  return value !== null && shape.length === 1 && shape[0] <= 1000 && !step?.windows.length && (shape[0] <= 12 || net.category(value, 0) !== null);
}
