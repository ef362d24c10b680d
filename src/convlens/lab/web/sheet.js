// The feature maps of one value on one canvas: scrolled, zoomed, hovered, walked with keys.

import { Axes } from "./axes.js";
import { colour, css, ink, isDark, table } from "./colours.js";
import { cells, full, short } from "./numbers.js";
import { Paint, unitSpan } from "./painting.js";
import { GAP, LABEL, MARGIN, Tiling } from "./tiling.js";

/**
 * @typedef {import("./axes.js").Cell} Cell
 * @typedef {import("./answers.js").SheetAnswer} Sheet
 * @typedef {import("./answers.js").ValueRow} Value
 * @typedef {import("./state.js").State} State
 *
 * @typedef {Float32Array | Float64Array} Numbers
 *
 * @typedef {object} Shown all that belongs to one sheet on the page
 * @property {Sheet} sheet
 * @property {Value} value
 * @property {State} state
 * @property {number} network the largest number of the whole network
 * @property {Axes} axes
 */

const READABLE = 34; // CSS pixels of a cell that has room for its number
const WRAPPED = 32; // cells in a row at least, where one long row of features is wrapped
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

export class SheetView {
  /** @type {Shown | null} */ #shown = null;
  /** @type {Paint | null} */ #paint = null;
  /** @type {Tiling | null} */ #tiling = null;
  /** @type {Cell | null} */ #cursor = null;
  /** @type {Cell | null} */ #opened = null;
  /** @type {Map<number, Numbers | null>} */ #exact = new Map();
  #frame = 0;

  /**
   * @param {HTMLElement} el where the maps go
   * @param {HTMLElement} legend where the colours are explained
   * @param {HTMLElement} readout where the number under the pointer is said
   * @param {object} actions
   * @param {(value: Value, index: number[], follow: boolean) => void} actions.open
   * @param {(change: Partial<State>) => void} actions.change
   * @param {() => void} actions.back
   * @param {(sheet: Sheet, map: number) => Promise<Numbers>} actions.numbers
   */
  constructor(el, legend, readout, actions) {
    this.el = el;
    this.legend = legend;
    this.readout = readout;
    this.actions = actions;
    this.content = document.createElement("div");
    this.content.className = "content";
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("aria-hidden", "true");
    this.content.append(this.canvas);
    el.replaceChildren(this.content);
    el.tabIndex = 0;
    el.setAttribute("role", "application");
    el.setAttribute("aria-roledescription", "feature maps");
    el.addEventListener("scroll", () => this.#later());
    el.addEventListener("pointermove", (event) => this.#hover(event));
    el.addEventListener("click", (event) => this.#click(event));
    el.addEventListener("keydown", (event) => this.#key(event));
    el.addEventListener("focus", () => this.#focused());
    el.addEventListener("blur", () => this.#later());
    el.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.resized = new ResizeObserver(() => this.#layout());
    this.resized.observe(el);
  }

  end() {
    this.resized.disconnect();
  }

  /**
   * @param {Sheet} sheet
   * @param {Value} value
   * @param {State} state
   * @param {number} network the largest number of the whole network
   * @returns {Axes} how its axes lie, for the controls above
   */
  show(sheet, value, state, network) {
    const before = this.#shown;
    const other = before?.sheet !== sheet;
    if (other) {
      this.#exact.clear();
      this.#cursor = null;
    }
    const axes = new Axes(sheet, state);
    this.#shown = { sheet, value, state, network, axes };
    this.#opened = state.index ? axes.cell(state.index) : null;
    this.#cursor = this.#opened ?? this.#cursor;
    if (other || before.state.scale !== state.scale || before.network !== network) this.repaint();
    this.#layout();
    if (other) this.el.scrollTop = 0;
    if (this.#opened) this.#reveal(this.#opened);
    this.el.setAttribute("aria-label", `${value.name}, ${axes.maps.length} maps of ${sheet.rows} by ${
      sheet.columns}; arrow keys move, Enter opens a number`);
    this.#say();
    return axes;
  }

  /** Paint again, with another scale or theme. */
  repaint() {
    if (!this.#shown) return;
    const { sheet } = this.#shown;
    // Features have no neighbours to keep together, so one long row of them is wrapped.
    const features = ["feature", "channel"].includes(sheet.axes.at(-1) ?? "");
    const flat = sheet.rows === 1 && sheet.maps === 1 && features;
    const about = Math.max(WRAPPED, 2 ** Math.ceil(Math.log2(Math.sqrt(sheet.columns))));
    const width = Math.max(1, flat ? Math.min(about, sheet.columns) : sheet.columns);
    this.#paint = new Paint(sheet, width, this.#span, this.#family(), isDark());
    this.#drawLegend();
    this.#later();
  }

  /** @returns {import("./colours.js").Family} */
  #family() {
    const { sheet, value } = /** @type {Shown} */ (this.#shown);
    if (value.kind === "input") return sheet.negative ? "activation" : "picture";
    return value.kind === "computed" ? "activation" : "weight";
  }

  #span = (/** @type {number} */ map) => {
    const { sheet, value, state, network } = /** @type {Shown} */ (this.#shown);
    if (state.scale === "network" && value.kind === "computed") return network;
    return state.scale === "unit" ? unitSpan(sheet, map) : sheet.largest;
  };

  // Layout

  #layout() {
    const { el, canvas } = this;
    if (!this.#shown || !this.#paint || !el.clientWidth) return;
    const { sheet, axes, state } = this.#shown;
    const { width: columns, height: rows } = this.#paint;
    const wrapped = columns !== sheet.columns;
    const what = {
      maps: axes.maps.length, columns, rows, wrapped,
      length: sheet.rows * sheet.columns, strip: sheet.plane < 2 && rows === 1,
    };
    const room = { width: el.clientWidth, height: el.clientHeight };
    this.#tiling = new Tiling(what, room, state.zoom);
    this.content.style.width = `${this.#tiling.total.width}px`;
    this.content.style.height = `${this.#tiling.total.height}px`;
    const ratio = devicePixelRatio || 1;
    const size = [Math.round(room.width * ratio), Math.round(room.height * ratio)];
    if (canvas.width !== size[0]) canvas.width = size[0];
    if (canvas.height !== size[1]) canvas.height = size[1];
    canvas.style.width = `${room.width}px`;
    canvas.style.height = `${room.height}px`;
    this.#draw();
  }

  /** Scroll a cell into view. @param {Cell} cell */
  #reveal(cell) {
    const { el } = this;
    const box = this.#tiling?.box(cell);
    if (!box) return;
    const [bottom, right] = [box.y + box.height, box.x + box.width];
    if (box.y - LABEL < el.scrollTop) el.scrollTop = box.y - LABEL - GAP;
    if (bottom > el.scrollTop + el.clientHeight) el.scrollTop = bottom + GAP - el.clientHeight;
    if (box.x < el.scrollLeft) el.scrollLeft = box.x - GAP;
    if (right > el.scrollLeft + el.clientWidth) el.scrollLeft = right + GAP - el.clientWidth;
  }

  // Drawing

  #later() {
    if (!this.#frame) this.#frame = requestAnimationFrame(() => { this.#frame = 0; this.#draw(); });
  }

  #draw() {
    const context = this.canvas.getContext("2d");
    const tiling = this.#tiling;
    if (!context || !this.#shown || !tiling) return;
    const { el } = this;
    const ratio = devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, el.clientWidth, el.clientHeight);
    context.translate(-el.scrollLeft, -el.scrollTop);
    // Maps are sampled, not blended: red and blue would mix to a violet that stands for no number.
    context.imageSmoothingEnabled = tiling.width < 1 && this.#family() === "picture";
    const from = Math.max(0, Math.floor((el.scrollTop - MARGIN) / tiling.step.height)) * tiling.across;
    const to = (Math.ceil((el.scrollTop + el.clientHeight) / tiling.step.height) + 1) * tiling.across;
    const style = getComputedStyle(el);
    for (let tile = from; tile < Math.min(to, tiling.maps); tile++) this.#drawTile(context, tile, style);
    if (this.#cursor && document.activeElement === el) {
      this.#ring(context, this.#cursor, style.getPropertyValue("--focus"), 2);
    }
    if (this.#opened) this.#ring(context, this.#opened, style.getPropertyValue("--mark"), 2.5);
  }

  /** @param {CanvasRenderingContext2D} context @param {number} tile @param {CSSStyleDeclaration} style */
  #drawTile(context, tile, style) {
    const tiling = /** @type {Tiling} */ (this.#tiling);
    const { axes } = /** @type {Shown} */ (this.#shown);
    const { x, y } = tiling.corner(tile);
    const [width, height] = [tiling.columns * tiling.width, tiling.rows * tiling.height];
    this.#paint?.draw(context, axes.maps[tile], x, y, width, height);
    context.strokeStyle = style.getPropertyValue("--line");
    context.lineWidth = 1;
    context.strokeRect(x - 0.5, y - 0.5, width + 1, height + 1);
    if (tiling.maps > 1 && width >= 14) {
      context.fillStyle = style.getPropertyValue("--soft");
      context.font = "10px ui-sans-serif, system-ui, sans-serif";
      context.textAlign = "left";
      context.textBaseline = "alphabetic";
      context.fillText(String(tile), x, y - 3);
    }
    if (tiling.width >= READABLE) this.#drawNumbers(context, tile);
  }

  /** Write the numbers themselves in cells with room for them. @param {CanvasRenderingContext2D} context @param {number} tile */
  #drawNumbers(context, tile) {
    const tiling = /** @type {Tiling} */ (this.#tiling);
    const { axes } = /** @type {Shown} */ (this.#shown);
    const map = axes.maps[tile];
    const exact = this.#numbers(map);
    if (!exact) return;
    const { width, height, columns } = tiling;
    const corner = tiling.corner(tile);
    const [family, span, dark] = [this.#family(), this.#span(map), isDark()];
    const { text } = cells(Math.max(0.01, Math.min(span, 9999)));
    context.font = `${width >= 44 ? 12 : 11}px ui-monospace, SFMono-Regular, Menlo, monospace`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const top = this.el.scrollTop - height;
    const bottom = this.el.scrollTop + this.el.clientHeight;
    for (let i = 0; i < tiling.length; i++) {
      const y = corner.y + (Math.floor(i / columns) + 0.5) * height;
      if (y < top || y > bottom) continue;
      context.fillStyle = ink(colour(exact[i], span, family, dark));
      context.fillText(text(exact[i]), corner.x + ((i % columns) + 0.5) * width, y + 0.5);
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {Cell} cell @param {string} stroke @param {number} line */
  #ring(context, cell, stroke, line) {
    const box = /** @type {Tiling} */ (this.#tiling).box(cell);
    const [width, height] = [Math.max(box.width, 5) + 2, Math.max(box.height, 5) + 2];
    const x = box.x + (box.width - width) / 2;
    const y = box.y + (box.height - height) / 2;
    context.lineWidth = line + 2;
    context.strokeStyle = isDark() ? "rgba(0,0,0,.75)" : "rgba(255,255,255,.9)";
    context.strokeRect(x, y, width, height);
    context.lineWidth = line;
    context.strokeStyle = stroke;
    context.strokeRect(x, y, width, height);
  }

  #drawLegend() {
    const { sheet, state, axes } = /** @type {Shown} */ (this.#shown);
    const canvas = /** @type {HTMLCanvasElement} */ (this.legend.querySelector("canvas"));
    const [left, right] = this.legend.querySelectorAll("span");
    const colours = table(this.#family(), isDark());
    const begin = sheet.negative ? 0 : 255;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    canvas.width = 511 - begin;
    canvas.height = 1;
    for (let i = 0; i < canvas.width; i++) {
      const at = 3 * (begin + i);
      context.fillStyle = css([colours[at], colours[at + 1], colours[at + 2]]);
      context.fillRect(i, 0, 1, 1);
    }
    const shared = state.scale !== "unit" || axes.maps.length === 1;
    const known = shared || this.#cursor !== null;
    const span = known ? this.#span(axes.maps[this.#cursor?.tile ?? 0] ?? 0) : 0;
    left.textContent = !sheet.negative ? "0" : known ? short(-span) : "−max";
    right.textContent = known ? short(span) : "max";
    this.legend.title = shared ? "One colour scale for all maps here" : "Every map has its own colour scale";
  }

  // The number under the pointer or the cursor

  /** Return a map's exact numbers, null until they arrive. @param {number} map */
  #numbers(map) {
    const { sheet } = /** @type {Shown} */ (this.#shown);
    const known = this.#exact.get(map);
    if (known !== undefined) return known;
    this.#exact.set(map, null);
    this.actions.numbers(sheet, map).then((numbers) => {
      if (this.#shown?.sheet !== sheet) return;
      this.#exact.set(map, numbers);
      this.#later();
      this.#say();
    }, () => this.#exact.delete(map));
    return null;
  }

  /** Say where the cursor stands, and the number there. */
  #say() {
    const cell = this.#cursor;
    if (!this.#shown || !cell || cell.tile >= this.#shown.axes.maps.length) {
      this.readout.textContent = "";
      return;
    }
    const { sheet, axes, state } = this.#shown;
    const exact = this.#numbers(axes.maps[cell.tile]);
    const number = document.createElement("b");
    number.className = "number";
    number.textContent = exact ? full(exact[cell.row * sheet.columns + cell.column], sheet.dtype) : "…";
    this.readout.replaceChildren(number, `  ${axes.words(cell)}`);
    if (state.scale === "unit") this.#drawLegend();
  }

  // Pointer and keys

  /** @param {MouseEvent} event */
  #at(event) {
    const box = this.el.getBoundingClientRect();
    return this.#tiling?.hit(event.clientX - box.left + this.el.scrollLeft, event.clientY - box.top + this.el.scrollTop)
      ?? null;
  }

  /** @param {PointerEvent} event */
  #hover(event) {
    const cell = this.#at(event);
    this.el.classList.toggle("over", Boolean(cell));
    if (!cell || (this.#cursor && same(cell, this.#cursor))) return;
    this.#cursor = cell;
    this.#say();
    this.#later();
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const cell = this.#at(event);
    if (!cell || !this.#shown) return this.actions.back();
    this.#cursor = cell;
    this.actions.open(this.#shown.value, this.#shown.axes.index(cell), false);
  }

  #focused() {
    if (!this.#cursor && this.#tiling?.maps) this.#cursor = { tile: 0, row: 0, column: 0 };
    this.#say();
    this.#later();
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoom(event.deltaY < 0 ? 1 : -1);
  }

  /** @param {number} by steps; 0 goes back to what fits */
  zoom(by) {
    const now = this.#shown?.state.zoom ?? 0;
    this.actions.change({ zoom: by === 0 ? 0 : Math.max(-12, Math.min(12, now + by)) });
    if (this.#cursor) this.#reveal(this.#cursor);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.#shown || !this.#tiling) return;
    if (!this.#cursor) this.#focused();
    if (!this.#cursor) return;
    const moved = this.#stepped(event.key, this.#cursor, this.#tiling);
    if (moved) this.#cursor = moved;
    else if (event.key === "Enter") this.actions.open(this.#shown.value, this.#shown.axes.index(this.#cursor), true);
    else if (event.key === "+" || event.key === "=") this.zoom(1);
    else if (event.key === "-") this.zoom(-1);
    else if (event.key === "0") this.zoom(0);
    else if (event.key === "," || event.key === ".") this.#turn(event.key === "." ? 1 : -1);
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.#reveal(this.#cursor);
    this.#say();
    this.#later();
  }

  /** Return where a key moves the cursor, null if it does not. @param {string} key @param {Cell} cell @param {Tiling} tiling @returns {Cell | null} */
  #stepped(key, cell, tiling) {
    const arrow = ARROWS[/** @type {keyof typeof ARROWS} */ (key)];
    if (arrow) return tiling.moved(cell, arrow[0], arrow[1]);
    const by = { "]": 1, "[": -1, PageDown: tiling.across, PageUp: -tiling.across, Home: -Infinity, End: Infinity }[key];
    return by === undefined ? null : tiling.tileBy(cell, by);
  }

  /** Turn to another frame, or along the axis that is held still. @param {number} by */
  #turn(by) {
    const { axes } = /** @type {Shown} */ (this.#shown);
    const { held, first } = axes.controls();
    const last = held.at(-1);
    if (last) this.actions.change({ held: axes.turned(last.axis, last.at + by) });
    else if (first) this.actions.change({ first: Math.max(0, Math.min(first.size - 1, first.at + by)) });
  }
}

/** @param {Cell} a @param {Cell} b */
function same(a, b) {
  return a.tile === b.tile && a.row === b.row && a.column === b.column;
}
