// Where maps and their cells lie on the page: integers to CSS pixels and back.

/** @typedef {import("./axes.js").Cell} Cell */

const ZOOMS = [1 / 16, 1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16,
  20, 24, 28, 32, 36, 40, 44, 48, 56, 64];
export const GAP = 10;
export const MARGIN = 14;
export const LABEL = 13; // height of a map's number above it
const SMALLEST = 26; // CSS pixels of the smallest map that is laid out without being asked for
const STRIP = [14, 28]; // CSS pixels a strip is high

export class Tiling {
  /**
   * Choose the largest size of cells at which all maps fit, or the smallest that can still be
   * seen, and go `zoom` sizes above or below.
   * @param {object} what
   * @param {number} what.maps how many
   * @param {number} what.columns cells in a row of one, as laid out
   * @param {number} what.rows
   * @param {number} what.length cells of one map in all
   * @param {boolean} what.wrapped whether a row of the value goes on in the next row of the page
   * @param {boolean} what.strip whether a map is one row of neighbours
   * @param {{ width: number, height: number }} room
   * @param {number} zoom
   */
  constructor({ maps, columns, rows, length, wrapped, strip }, room, zoom) {
    this.maps = maps;
    this.columns = columns;
    this.rows = rows;
    this.length = length;
    this.wrapped = wrapped;
    const inner = { width: room.width - 2 * MARGIN, height: room.height - 2 * MARGIN };
    const high = (/** @type {number} */ z) => (strip ? Math.max(STRIP[0], Math.min(STRIP[1], z)) : z);
    const across = (/** @type {number} */ z) => Math.max(1, Math.floor((inner.width + GAP) / (columns * z + GAP)));
    const fits = (/** @type {number} */ z) =>
      columns * z <= inner.width
      && Math.ceil(maps / across(z)) * (rows * high(z) + LABEL + GAP) - GAP <= inner.height;
    const widest = ZOOMS.findLastIndex((z) => columns * z <= inner.width);
    const large = ZOOMS.findLastIndex(fits);
    const seen = ZOOMS.findIndex((z) => columns * z >= SMALLEST);
    let at = large >= 0 && columns * ZOOMS[large] >= SMALLEST ? large : Math.min(seen, widest);
    if (strip) at = widest;
    const cell = ZOOMS[Math.max(0, Math.min(ZOOMS.length - 1, Math.max(0, at) + zoom))];
    /** CSS pixels of a cell. */
    this.width = cell;
    this.height = high(cell);
    /** Maps in a line. */
    this.across = across(cell);
    /** CSS pixels from one map to the next. */
    this.step = { width: columns * cell + GAP, height: rows * this.height + LABEL + GAP };
    const lines = Math.ceil(maps / this.across);
    /** CSS pixels of everything. */
    this.total = {
      width: Math.max(room.width, 2 * MARGIN + columns * cell),
      height: Math.max(room.height, 2 * MARGIN + lines * this.step.height - GAP),
    };
  }

  /** Return left and top of a map's first cell. @param {number} tile */
  corner(tile) {
    return {
      x: MARGIN + (tile % this.across) * this.step.width,
      y: MARGIN + Math.floor(tile / this.across) * this.step.height + LABEL,
    };
  }

  /** Return the box of a cell. @param {Cell} cell */
  box(cell) {
    const corner = this.corner(cell.tile);
    const at = this.laid(cell);
    return {
      x: corner.x + at.column * this.width, y: corner.y + at.row * this.height,
      width: this.width, height: this.height,
    };
  }

  /** Return the cell at a point, null between maps. @param {number} x @param {number} y @returns {Cell | null} */
  hit(x, y) {
    const at = Math.floor((x - MARGIN) / this.step.width);
    const line = Math.floor((y - MARGIN) / this.step.height);
    const tile = line * this.across + at;
    if (at < 0 || at >= this.across || line < 0 || tile >= this.maps) return null;
    const corner = this.corner(tile);
    const row = Math.floor((y - corner.y) / this.height);
    const column = Math.floor((x - corner.x) / this.width);
    if (row < 0 || column < 0 || row >= this.rows || column >= this.columns) return null;
    return this.#unlaid(tile, row, column);
  }

  /** Return a cell's row and column on the page. @param {Cell} cell */
  laid(cell) {
    if (!this.wrapped) return cell;
    return { row: Math.floor(cell.column / this.columns), column: cell.column % this.columns };
  }

  /** Return the cell at a row and column on the page; null past the end of a wrapped row. @param {number} tile @param {number} row @param {number} column @returns {Cell | null} */
  #unlaid(tile, row, column) {
    if (!this.wrapped) return { tile, row, column };
    const at = row * this.columns + column;
    return at < this.length ? { tile, row: 0, column: at } : null;
  }

  /** Return the cell next to one, in the neighbouring map at an edge. @param {Cell} cell @param {number} down @param {number} right @returns {Cell} */
  moved(cell, down, right) {
    const { columns, rows, across, maps } = this;
    const at = this.laid(cell);
    let [row, column, tile] = [at.row + down, at.column + right, cell.tile];
    if (column < 0 && tile > 0) [tile, column] = [tile - 1, columns - 1];
    else if (column >= columns && tile < maps - 1) [tile, column] = [tile + 1, 0];
    else if (row < 0 && tile >= across) [tile, row] = [tile - across, rows - 1];
    else if (row >= rows && tile + across < maps) [tile, row] = [tile + across, 0];
    row = Math.max(0, Math.min(rows - 1, row));
    column = Math.max(0, Math.min(columns - 1, column));
    return this.#unlaid(tile, row, column) ?? cell;
  }

  /** Return the same cell of another map. @param {Cell} cell @param {number} by @returns {Cell} */
  tileBy(cell, by) {
    return { ...cell, tile: Math.max(0, Math.min(this.maps - 1, cell.tile + by)) };
  }
}
