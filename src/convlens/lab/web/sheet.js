// A step with all its maps: what comes in, beside the kernels of the map pointed at, and what goes out.

import { html, nothing, render } from "./vendor/lit-html.js";
import { largest } from "./colours.js";
import { segments } from "./frame.js";
import { ravel, short, unravel } from "./numbers.js";
import { Bars } from "./parts/bars.js";
import { Maps } from "./parts/maps.js";
import { origin, sentence } from "./parts/steps.js";

/**
 * @typedef {import("./answers.js").SheetAnswer} Sheet
 * @typedef {import("./answers.js").KernelsAnswer} Kernels
 * @typedef {import("./stage.js").Stage} Stage
 */

const REST = 60; // milliseconds a pointer rests on a map before its kernel is asked for

/** Return the maps of a sheet that are one map of the value, such as the frames of a clip. @param {Sheet} sheet */
const framesOf = ({ axes, plane, shape }) => (axes.at(-plane - 1) === "frame" ? shape[shape.length - plane - 1] : 1);

/** Return how many maps a sheet has, and how many numbers each. @param {Sheet} sheet */
export function sizeOf(sheet) {
  const frames = framesOf(sheet);
  return { frames, maps: sheet.maps / frames, size: frames * sheet.rows * sheet.columns };
}

/** Return the index of a number by its map and its place there. @param {Sheet} sheet @param {number} map @param {number} cell */
export function indexIn(sheet, map, cell) {
  const { shape, sliced, first } = sheet;
  const position = map * sizeOf(sheet).size + cell;
  return sliced ? [first, ...unravel(position, shape.slice(1))] : unravel(position, shape);
}

/** Return the place of an index on a sheet, and the map that it lies on. @param {Sheet} sheet @param {number[]} index */
export function placeIn(sheet, index) {
  const from = sheet.sliced ? 1 : 0;
  const at = ravel(index.slice(from), sheet.shape.slice(from));
  return { at, map: Math.floor(at / sizeOf(sheet).size) };
}

/** Return the least and the largest number of a map, NaN where none is finite. @param {Sheet} sheet @param {number} map */
export function rangeOf(sheet, map) {
  const { frames } = sizeOf(sheet);
  const size = sheet.rows * sheet.columns;
  let [low, high] = [NaN, NaN];
  for (let each = map * frames; each < (map + 1) * frames; each++) {
    if (sheet.low[each] === 0 && sheet.high[each] === 0 && sheet.codes.subarray(each * size, (each + 1) * size).every((code) => !code)) continue;
    if (!(low <= sheet.low[each])) low = sheet.low[each];
    if (!(high >= sheet.high[each])) high = sheet.high[each];
  }
  return [low, high];
}

/** Return the place of a map's number of the largest size. @param {Sheet} sheet @param {number} map */
export function strongest({ rows, columns, exact, codes, low, high, ...sheet }, map) {
  const { size } = sizeOf({ rows, columns, exact, codes, low, high, ...sheet });
  let [best, most] = [0, -1];
  for (let i = 0, at = map * size; i < size; i++, at++) {
    const each = Math.floor(at / rows / columns);
    const x = exact ? exact[at] : codes[at] && low[each] + ((codes[at] - 1) / 254) * (high[each] - low[each]);
    if (Math.abs(x) > most) [best, most] = [i, Math.abs(x)];
  }
  return best;
}

/** One value's maps, or its few numbers as named bars. */
class Seat {
  id = -1;
  bar = false;
  /** @type {Sheet | null} */ sheet = null;

  /** @param {string} label @param {(map: number, cell: number) => void} over @param {(map: number, cell: number) => void} press */
  constructor(label, over, press) {
    this.maps = new Maps(label, over, press);
    this.bars = new Bars(label, { over: ([i]) => over(0, i), press: ([i]) => press(0, i) });
  }

  get el() {
    return this.bar ? this.bars.el : this.maps.el;
  }

  /** @param {Stage} stage @param {number} id @param {Sheet} sheet */
  take({ net }, id, sheet) {
    const { exact, maps, rows, columns, plane } = sheet;
    Object.assign(this, { id, sheet });
    this.bar = Boolean(exact && maps === 1 && rows === 1 && plane > 0 && columns <= 1000 && (columns <= 16 || net.category(id, 0) !== null));
    return this;
  }

  /** @param {Stage} stage @param {Omit<import("./parts/maps.js").Shown, "sheet" | "frames" | "picture" | "shared">} how */
  show({ net, state }, how) {
    const { sheet, id } = this;
    if (!sheet?.maps) return;
    if (this.bar) this.bars.show({ role: "", at: [], shape: [sheet.columns], numbers: /** @type {Float32Array} */ (sheet.exact), value: id }, net, Math.min(how.room.width, 420));
    else this.maps.show({ sheet, frames: framesOf(sheet), picture: net.isPicture(id), shared: state.scale === "step", ...how });
  }
}

export class SheetView {
  /** @type {Seat[]} */ #from = [];
  /** @type {Seat[]} */ #seats = [];
  /** @type {Map<string, Kernels | null>} */ #kernels = new Map();
  /** Whether kernels stand beside the maps that come in. */ #paired = false;
  #map = 0;
  #resting = 0;

  /** @param {Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.el = document.createElement("section");
    this.el.className = "sheet";
    this.el.setAttribute("aria-label", "The maps of the step");
    this.to = new Seat("what goes out", (map, cell) => this.#over(map, cell), (map, cell) => this.#open(map, cell));
  }

  /** The sheet of what goes out. */
  get out() {
    return this.to.sheet;
  }

  /** @param {() => boolean} current */
  async draw(current) {
    const { stage } = this;
    const { net, state, questions, value } = stage;
    if (!value) return;
    const step = net.maker(value.id);
    const wanted = (/** @type {number} */ id) => {
      const { shape, kind } = net.value(id);
      const sliced = shape.length > 2 && (kind === "parameter" || shape.length - net.spatial(id) > 1);
      return { value: id, first: sliced && state.index ? Math.min(state.index[0], shape[0] - 1) : 0 };
    };
    const from = [...new Set(step?.x.map((id) => origin(net, id)) ?? [])].slice(0, 8);
    const paired = step && step.weight !== null && (step.family === "conv" || step.family === "transposed") && state.index;
    const map = paired ? paired[paired.length - net.spatial(value.id) - 1] : 0;
    const asked = questions.sheets([value.id, ...from].map(wanted), paired && !this.#kernels.has(this.#key(value.id, map)) ? { value: value.id, map } : null);
    const [out, ...given] = await Promise.all(asked.sheets.map((each, i) => (i ? each.catch(() => null) : each)));
    const kernel = await asked.kernels?.catch(() => null);
    if (!current() || !out) return;
    if (kernel !== undefined) this.#kernels.set(this.#key(value.id, map), kernel);
    this.to.take(stage, value.id, out);
    this.#map = out.maps && state.index ? placeIn(out, state.index).map : 0;
    this.#from = given.flatMap((found, i) => (found ? [(this.#seats[i] ??= new Seat("what comes in", () => {}, (map, cell) => this.#into(i, map, cell))).take(stage, from[i], found)] : []));
    this.#paired = Boolean(paired && out.maps && this.#from.length);
    stage.say(sentence(net, value.id, matchMedia("(hover: none)").matches ? " Tap a map to open it." : " Point at a map to see its kernel."));
    this.#layout();
    this.#point(this.#map);
  }

  /** @param {number} id @param {number} map */
  #key(id, map) {
    return [this.stage.questions.recording, id, map].join();
  }

  /** @param {number} map */
  async #ask(map) {
    const key = this.#key(this.to.id, map);
    if (!this.#kernels.has(key)) this.#kernels.set(key, await this.stage.questions.once("kernels", { value: this.to.id, map }).catch(() => null));
  }

  #layout() {
    const { stage, to, out } = this;
    const { net, state, room: width } = stage;
    if (!out) return;
    const narrow = width < 700;
    const height = Math.max(280, stage.height - stage.at("body").offsetTop - 100);
    const lines = this.#from.length;
    const left = narrow || !lines ? width : Math.round(this.#paired ? Math.min(0.42 * (width - 24), 440) : (width - 24) * (to.bar ? 0.6 : 0.46));
    const { maps } = sizeOf(out);
    const caption = (/** @type {number} */ id) => html`<b>${net.title(id)}</b> <span class="soft">${net.shape(id)}</span>`;
    render(html`<div class="two ${narrow ? "stacked" : ""}">
      ${lines ? html`<div class="from">${this.#from.map(({ id, el }, i) => html`<figure><figcaption>${caption(id)}
        ${i === 0 && this.#paired ? html`<span class="soft">×</span> <b class="which"></b>` : nothing}</figcaption>${el}</figure>`)}</div>` : nothing}
      <figure class="to"><figcaption>${caption(to.id)} <span class="named"></span></figcaption>${maps ? to.el : html`<p class="soft">It has no numbers: one of its axes has length 0.</p>`}
        <div class="tools">${this.#samples(out)}<span class="push"></span>
        ${maps > 1 ? segments("Colours", [["unit", "a scale for each"], ["step", "one for all"]], state.scale, (scale) => stage.go({ scale: /** @type {"unit" | "step"} */ (scale) })) : nothing}
        ${to.bar || !maps ? nothing : [[-1, "−", "Smaller maps"], [1, "+", "Larger maps"]].map(([by, sign, label]) => html`<button type="button" class="icon" aria-label=${label} title=${label}
          @click=${() => stage.go({ zoom: Math.max(-12, Math.min(12, state.zoom + Number(by))) })}>${sign}</button>`)}</div></figure></div>`, this.el);
    const tall = narrow ? Math.max(120, 210 / lines) : Math.max(120, (height - 32 * (lines - 1)) / lines);
    this.#from.forEach((seat, i) => seat.show(stage, { room: { width: left, height: tall }, zoom: 0, most: this.#paired ? 4 : narrow ? 6 : undefined, ...(i ? {} : this.#beside()) }));
    const thirds = width < 500 && !state.zoom && out.rows > 1 && maps > 1;
    to.show(stage, { room: { width: narrow || !lines ? width : width - 24 - left, height: narrow ? Math.max(300, stage.height * 0.6) : height }, zoom: state.zoom, across: thirds ? Math.min(3, maps) : undefined });
  }

  /** The kernels beside the maps that come in: only those of their group. */
  #beside() {
    const found = this.#paired ? this.#kernels.get(this.#key(this.to.id, this.#map)) : null;
    if (!found) return this.#paired ? { kernel: () => null } : {};
    const { channels, columns, numbers, first_channel: first, frames } = found;
    const rows = frames * found.rows;
    const span = largest(numbers) || 1;
    return { kernel: (/** @type {number} */ map) => ({ numbers, start: (map - first) * rows * columns, rows, columns, span }), first, count: channels };
  }

  /** Turn to another sample of a batch, or another kernel. @param {Sheet} out */
  #samples(out) {
    const [axis, [all]] = [out.axes[0], out.shape];
    if (!out.sliced || all < 2) return nothing;
    const turn = (/** @type {number} */ by, /** @type {string} */ sign, /** @type {string} */ label) => html`<button type="button" class="quiet" aria-label="${label} ${axis}"
      @click=${() => this.stage.go({ index: [(out.first + by + all) % all, ...indexIn(out, this.#map, 0).slice(1)] })}>${sign}</button>`;
    return html`<span class="picker">${axis} ${turn(-1, "‹", "previous")}${out.first}${turn(1, "›", "next")} <span class="soft">of ${all}</span></span>`;
  }

  // Pointing and opening

  /** @param {number} map @param {number} cell */
  #over(map, cell) {
    const { out } = this;
    if (!out || this.stage.value?.id !== this.to.id) return;
    this.stage.move({ index: this.#index(out, map, cell) });
    this.#point(map);
    clearTimeout(this.#resting);
    if (!this.#paired || this.#kernels.has(this.#key(this.to.id, map))) return;
    this.#resting = setTimeout(async () => {
      await this.#ask(map);
      if (this.out === out && this.#map === map) this.#point(map);
    }, REST);
  }

  /** Where pointing at a map leads: to its strongest number; on a single map to the one pointed at. @param {Sheet} sheet @param {number} map @param {number} cell */
  #index(sheet, map, cell) {
    const one = sizeOf(sheet).maps === 1;
    return one && cell < 0 && this.stage.state.index ? this.stage.state.index : indexIn(sheet, map, one ? cell : strongest(sheet, map));
  }

  /** Show what belongs to a map. @param {number} map */
  #point(map) {
    const { out, to, stage } = this;
    const { net, state } = stage;
    if (!out?.maps || !state.index) return;
    const { maps, frames } = sizeOf(out);
    this.#map = map;
    to.maps.choose(map);
    to.bars.light({ cells: [[state.index.at(-1) ?? 0]] });
    const [low, high] = rangeOf(out, map);
    const axis = out.axes.at(-out.plane - (frames > 1 ? 2 : 1));
    const name = net.value(to.id).kind === "parameter" ? `${axis} ${map}` : net.map(to.id, map) || `map ${map}`;
    const exact = out.exact?.[placeIn(out, state.index).at];
    const put = (/** @type {string} */ where, /** @type {unknown} */ what) => { const el = /** @type {HTMLElement | null} */ (this.el.querySelector(where)); if (el) render(what, el); };
    put(".named", maps > 1 ? html`<b>${name}</b> <span class="soft">${Number.isNaN(low) ? "NaN" : `${short(low)} to ${short(high)}`}</span>` : html`<b>${net.spot(to.id, state.index)}</b> ${exact === undefined ? nothing : short(exact)}`);
    put(".which", `kernel ${map}`);
    const joined = net.maker(to.id)?.family === "concat";
    this.#from.forEach((seat, i) => {
      if (this.#paired && !i) seat.maps.turn(this.#beside());
      else seat.maps.choose(seat.sheet && sizeOf(seat.sheet).maps === maps && !joined ? map : -1);
    });
  }

  /** Open a map at its window. @param {number} map @param {number} cell */
  #open(map, cell) {
    const { out, stage } = this;
    if (out && stage.value?.id === out.value) stage.go({ index: this.#index(out, map, cell), channel: null, near: stage.net.maker(out.value) ? "window" : "number" });
  }

  /** Open the window of the map pointed at, on one of the maps that come in; else that map's own step. @param {number} i @param {number} map @param {number} cell */
  #into(i, map, cell) {
    const { stage, out } = this;
    const { id, sheet } = this.#from[i];
    if (!out || !sheet) return;
    if (this.#paired && !i) return stage.go({ index: indexIn(out, this.#map, strongest(out, this.#map)), channel: map, near: "window" });
    return stage.go({ at: stage.net.value(id).name, index: this.#index(sheet, map, cell), near: stage.net.maker(id) ? "window" : "step" });
  }
}
