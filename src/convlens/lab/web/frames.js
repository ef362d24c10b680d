// The input as frames to paint (a picture, a clip, a volume), or as the lines of a signal.

import { css, isDark, table } from "./colours.js";

/**
 * @typedef {import("./answers.js").SheetAnswer} Sheet
 * @typedef {import("./answers.js").Lit} Lit
 * @typedef {{ width: number, height: number }} Size
 *
 * @typedef {object} Frames
 * @property {number} count
 * @property {number} rows
 * @property {number} columns
 * @property {boolean} photo whether enlarged pixels may be smoothed
 * @property {(context: CanvasRenderingContext2D, frame: number, x: number, y: number, width: number, height: number) => void} draw
 */

/** Return the frames of a bitmap, one below the other. @param {ImageBitmap} bitmap @param {number} count @returns {Frames} */
export function pictured(bitmap, count) {
  const rows = bitmap.height / count;
  return {
    count, rows, columns: bitmap.width, photo: true,
    draw: (context, frame, x, y, width, height) =>
      context.drawImage(bitmap, 0, frame * rows, bitmap.width, rows, x, y, width, height),
  };
}

/** Return the maps of an array as frames, three channels as red, green and blue. @param {Sheet} sheet @returns {Frames} */
export function arrayed(sheet) {
  const axis = sheet.axes.indexOf("frame");
  const count = axis < 0 ? 1 : sheet.shape[axis];
  const canvas = document.createElement("canvas");
  canvas.width = sheet.columns;
  canvas.height = sheet.rows * count;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  for (let frame = 0; frame < count; frame++) {
    context.putImageData(frameOf(sheet, frame, count, context), 0, frame * sheet.rows);
  }
  return {
    count, rows: sheet.rows, columns: sheet.columns, photo: false,
    draw: (into, frame, x, y, width, height) =>
      into.drawImage(canvas, 0, frame * sheet.rows, sheet.columns, sheet.rows, x, y, width, height),
  };
}

/** @param {Sheet} sheet @param {number} frame @param {number} frames @param {CanvasRenderingContext2D} context */
function frameOf(sheet, frame, frames, context) {
  const channels = Math.max(1, Math.round(sheet.maps / frames));
  const low = Math.min(...sheet.low);
  const high = Math.max(...sheet.high);
  const pixels = sheet.rows * sheet.columns;
  const image = context.createImageData(sheet.columns, sheet.rows);
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) {
      const map = (channels === 3 ? c : 0) * frames + frame;
      const x = sheet.low[map] + ((sheet.codes[map * pixels + i] - 1) / 254) * (sheet.high[map] - sheet.low[map]);
      image.data[4 * i + c] = high > low ? (255 * (x - low)) / (high - low) : 128;
    }
    image.data[4 * i + 3] = 255;
  }
  return image;
}

/** Return how many frames side by side make them largest in a room. @param {Frames} frames @param {Size} room */
export function arranged({ count, rows, columns }, room) {
  let best = { width: 0, height: 0, across: 1, cell: 0 };
  for (let across = 1; across <= count; across++) {
    const lines = Math.ceil(count / across);
    const cell = Math.min(room.width / (across * columns), room.height / (lines * rows));
    if (cell > best.cell) best = { across, cell, width: cell * across * columns, height: cell * lines * rows };
  }
  return best;
}

/**
 * Draw channels as lines, over what is lit.
 * @param {CanvasRenderingContext2D} context
 * @param {Sheet} sheet
 * @param {Size} size
 * @param {((at: number[]) => boolean) | null} lit whether a position is
 */
export function drawSignal(context, sheet, size, lit) {
  const style = getComputedStyle(context.canvas);
  const step = size.width / sheet.columns;
  context.clearRect(0, 0, size.width, size.height);
  if (lit) {
    context.fillStyle = style.getPropertyValue("--lit");
    for (let i = 0, from = 0; i <= sheet.columns; i++) {
      if (i < sheet.columns && lit([i])) continue;
      if (i > from) context.fillRect(from * step, 0, (i - from) * step, size.height);
      from = i + 1;
    }
  }
  const low = Math.min(0, ...sheet.low);
  const high = Math.max(0, ...sheet.high);
  const y = (/** @type {number} */ x) => 4 + (size.height - 8) * (1 - (x - low) / (high - low || 1));
  context.strokeStyle = style.getPropertyValue("--line");
  context.strokeRect(0, y(0), size.width, 0.001);
  const colours = table("activation", isDark());
  for (let map = 0; map < Math.min(sheet.maps, 12); map++) {
    const at = 3 * (sheet.maps === 1 ? 460 : 40 + Math.round((430 * map) / (Math.min(sheet.maps, 12) - 1)));
    context.strokeStyle = css([colours[at], colours[at + 1], colours[at + 2]]);
    context.lineWidth = 1.25;
    context.beginPath();
    for (let i = 0; i < sheet.columns; i++) {
      const code = sheet.codes[map * sheet.columns + i];
      const x = sheet.low[map] + ((code - 1) / 254) * (sheet.high[map] - sheet.low[map]);
      context.lineTo((i + 0.5) * step, y(x));
    }
    context.stroke();
  }
}
