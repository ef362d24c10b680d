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
 */

const REST = 60; // milliseconds a pointer rests on a map before its kernel is asked for

/** Return the maps of a sheet that are one map of the value, such as the frames of a clip. @param {Sheet} sheet */
export const framesOf = ({ axes, plane, shape }) => (axes.at(-plane - 1) === "frame" && shape.length > plane + 1 ? shape[shape.length - plane - 1] : 1);

/** Return the index of a number by its map and its place there. @param {Sheet} sheet @param {number} map @param {number} cell */
export function indexIn(sheet, map, cell) {
  const { shape, sliced, first, rows, columns } = sheet;
  const position = map * framesOf(sheet) * rows * columns + cell;
  return sliced ? [first, ...unravel(position, shape.slice(1))] : unravel(position, shape);
}

/** Return the map that an index lies on. @param {Sheet} sheet @param {number[]} index */
export function mapIn(sheet, index) {
  const { shape, sliced, rows, columns } = sheet;
  const from = sliced ? 1 : 0;
  return Math.floor(ravel(index.slice(from), shape.slice(from)) / (framesOf(sheet) * rows * columns));
}

/** Return the least and the largest number of a map, NaN where none is finite. @param {Sheet} sheet @param {number} map */
export function rangeOf(sheet, map) {
  const frames = framesOf(sheet);
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
export function strongest(sheet, map) {
  const frames = framesOf(sheet);
  const size = sheet.rows * sheet.columns;
  let [best, most] = [0, -1];
  for (let i = 0; i < size * frames; i++) {
    const at = map * size * frames + i;
    const each = map * frames + Math.floor(i / size);
    const x = sheet.exact ? sheet.exact[at] : sheet.codes[at] && sheet.low[each] + ((sheet.codes[at] - 1) / 254) * (sheet.high[each] - sheet.low[each]);
    if (Math.abs(x) > most) [best, most] = [i, Math.abs(x)];
  }
  return best;
}

export class SheetView {
  /** @type {Sheet | null} the maps that go out */ out = null;
  /** @type {{ id: number, sheet: Sheet, maps: Maps, bars: Bars }[]} */ #in = [];
  /** @type {Map<string, Kernels | null>} */ #kernels = new Map();
  /** @type {{ maps: Maps, bars: Bars }[]} */ #seats = [];
  #map = 0;
  #resting = 0;

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.el = document.createElement("section");
    this.el.className = "sheet";
    this.el.setAttribute("aria-label", "The maps of the step");
    const over = (/** @type {number} */ map, /** @type {number} */ cell) => this.#over(map, cell);
    const press = (/** @type {number} */ map, /** @type {number} */ cell) => this.#open(map, cell);
    this.maps = new Maps("what goes out", { over, press });
    this.bars = new Bars("what goes out", { over: ([i]) => over(0, i), press: ([i]) => press(0, i) });
  }

  /** @param {() => boolean} current */
  async draw(current) {
    const { net, state, questions, value } = this.stage;
    if (!value) return;
    const step = net.maker(value.id);
    const sheet = (/** @type {number} */ id) => {
      const { shape, kind } = net.value(id);
      const sliced = shape.length > 2 && (kind === "parameter" || shape.length - net.spatial(id) > 1);
      return questions.once("sheet", { value: id, first: sliced && state.index ? Math.min(state.index[0], shape[0] - 1) : 0 });
    };
    const from = [...new Set(step?.x.map((id) => origin(net, id)) ?? [])].slice(0, 8);
    const out = sheet(value.id);
    const given = await Promise.all(from.map((id) => sheet(id).catch(() => null)));
    const own = await out;
    if (!current()) return;
    this.out = own;
    this.#map = own.maps && state.index ? mapIn(own, state.index) : 0;
    this.#in = from.flatMap((id, i) => {
      const found = given[i];
      return found ? [{ id, sheet: found, ...this.#seat(i) }] : [];
    });
    if (this.#paired) await this.#ask(this.#map);
    if (!current()) return;
    const touch = matchMedia("(hover: none)").matches;
    this.stage.say(sentence(net, value.id, touch ? " Tap a map to open it." : " Point at a map to see its kernel."));
    this.#layout();
    this.#point(this.#map);
  }

  /** @param {number} i of what comes in */
  #seat(i) {
    const press = (/** @type {number} */ map, /** @type {number} */ cell) => this.#into(i, map, cell);
    return this.#seats[i] ??= { maps: new Maps("what comes in", { over: () => {}, press }), bars: new Bars("what comes in", { over: () => {}, press: ([cell]) => press(0, cell) }) };
  }

  /** Whether kernels stand beside the maps that come in. */
  get #paired() {
    const { net, value } = this.stage;
    const step = net.maker(value?.id ?? -1);
    return Boolean(step && step.weight !== null && ["conv", "transposed"].includes(step.family) && this.out?.maps);
  }

  /** The kernels of an output map; undefined before they came. @param {number} map */
  #kernelsOf(map) {
    return this.#kernels.get([this.stage.questions.recording, this.out?.value, map].join());
  }

  /** @param {number} map */
  async #ask(map) {
    const { questions } = this.stage;
    const { value } = /** @type {Sheet} */ (this.out);
    const key = [questions.recording, value, map].join();
    if (this.#kernels.has(key)) return;
    this.#kernels.set(key, await questions.once("kernels", { value, map }).catch(() => null));
  }

  #layout() {
    const { stage, out } = this;
    const { net, state, value } = stage;
    if (!out || !value) return;
    const { width, narrow, height } = this.#room();
    const bar = this.#isBars(value.id, out);
    const left = !this.#in.length ? 0 : narrow ? width : Math.round(this.#paired ? Math.min(0.42 * (width - 24), 440) : (width - 24) * (bar ? 0.6 : 0.46));
    const right = narrow || !left ? width : width - 24 - left;
    const many = out.maps / framesOf(out) > 1;
    render(html`<div class="two ${narrow ? "stacked" : ""}">
      ${this.#in.length ? html`<div class="from">${this.#in.map(({ id, sheet, maps, bars }, i) => html`<figure><figcaption><b>${net.title(id)}</b> <span class="soft">${net.shape(id)}</span>
        ${i === 0 && this.#paired ? html`<span class="soft">×</span> <b class="which"></b>` : nothing}</figcaption>${this.#isBars(id, sheet) ? bars.el : maps.el}</figure>`)}</div>` : nothing}
      <figure class="to"><figcaption><b>${net.title(value.id)}</b> <span class="soft">${net.shape(value.id)}</span> <span class="named"></span></figcaption>
        ${!out.maps ? html`<p class="soft">It has no numbers: one of its axes has length 0.</p>` : bar ? this.bars.el : this.maps.el}
        <div class="tools">${this.#sample()}<span class="push"></span>
        ${many ? segments("Colours", [["unit", "a scale for each"], ["step", "one for all"]], state.scale, (scale) => stage.go({ scale: /** @type {"unit" | "step"} */ (scale) })) : nothing}
        ${bar || !out.maps ? nothing : [[-1, "−", "Smaller maps"], [1, "+", "Larger maps"]].map(([by, sign, label]) => html`<button type="button" class="icon" aria-label=${label} title=${label}
          @click=${() => stage.go({ zoom: Math.max(-12, Math.min(12, state.zoom + Number(by))) })}>${sign}</button>`)}</div></figure></div>`, this.el);
    const shared = state.scale === "step";
    const lines = this.#in.length;
    for (const each of this.#in) {
      const room = { width: left, height: narrow ? Math.max(120, 210 / lines) : Math.max(120, (height - 32 * (lines - 1)) / lines) };
      if (this.#isBars(each.id, each.sheet)) this.#showBars(each.bars, each.id, each.sheet, left);
      else each.maps.show({ ...this.#form(each.id, each.sheet), room, shared, zoom: 0, most: this.#paired ? 4 : narrow ? 6 : undefined, ...this.#beside(each.sheet) });
    }
    if (bar) this.#showBars(this.bars, value.id, out, right);
    else if (out.maps) this.maps.show({ ...this.#form(value.id, out), room: { width: right, height: narrow ? Math.max(300, innerHeight * 0.6) : height }, shared, zoom: state.zoom, across: stage.room < 500 && !state.zoom ? this.#thirds(out) : undefined });
  }

  #room() {
    const width = this.stage.room;
    const top = this.stage.at("body").getBoundingClientRect().top + scrollY;
    return { width, narrow: width < 700, height: Math.max(280, innerHeight - top - 100) };
  }

  /** Maps in a row on a phone: three, where they are maps and not rows. @param {Sheet} sheet */
  #thirds(sheet) {
    const maps = sheet.maps / framesOf(sheet);
    return sheet.rows > 1 && maps > 1 ? Math.min(3, maps) : undefined;
  }

  /** @param {number} id @param {Sheet} sheet */
  #form(id, sheet) {
    return { sheet, frames: framesOf(sheet), picture: this.stage.net.isPicture(id) };
  }

  /** Whether a value is a row of few numbers, or of named ones. @param {number} id @param {Sheet} sheet */
  #isBars(id, { exact, maps, rows, columns, plane }) {
    return Boolean(exact && maps === 1 && rows === 1 && plane > 0 && columns <= 1000 && (columns <= 16 || this.stage.net.category(id, 0) !== null));
  }

  /** @param {Bars} bars @param {number} id @param {Sheet} sheet @param {number} width */
  #showBars(bars, id, { columns, exact }, width) {
    bars.show({ role: "", at: [], shape: [columns], numbers: /** @type {Float32Array} */ (exact), value: id }, this.stage.net, Math.min(width, 420));
  }

  /** The kernels beside the maps that come in: only those of their group. @param {Sheet} sheet @returns {Partial<import("./parts/maps.js").Shown>} */
  #beside(sheet) {
    if (!this.#paired || sheet !== this.#in[0].sheet) return {};
    const found = this.#kernelsOf(this.#map);
    if (!found) return { kernel: () => null };
    const { channels, columns, numbers, first_channel } = found;
    const rows = found.frames * found.rows;
    const span = largest(numbers) || 1;
    const kernel = (/** @type {number} */ map) => ({ numbers, start: (map - first_channel) * rows * columns, rows, columns, span });
    return { kernel, first: first_channel, count: channels };
  }

  /** Turn to another sample of a batch, or another kernel. */
  #sample() {
    const { out, stage } = this;
    if (!out?.sliced || out.shape[0] < 2) return nothing;
    const turn = (/** @type {number} */ by) => stage.go({ index: [(out.first + by + out.shape[0]) % out.shape[0], ...indexIn(out, this.#map, 0).slice(1)] });
    return html`<span class="picker">${out.axes[0]} <button type="button" class="quiet" aria-label="previous ${out.axes[0]}" @click=${() => turn(-1)}>‹</button>${out.first}<button
      type="button" class="quiet" aria-label="next ${out.axes[0]}" @click=${() => turn(1)}>›</button> <span class="soft">of ${out.shape[0]}</span></span>`;
  }

  // Pointing and opening

  /** @param {number} map @param {number} cell */
  #over(map, cell) {
    const { out } = this;
    if (!out) return;
    this.stage.move({ index: this.#index(out, map, cell) });
    this.#point(map);
    clearTimeout(this.#resting);
    if (!this.#paired || this.#kernelsOf(map) !== undefined) return;
    this.#resting = setTimeout(async () => {
      await this.#ask(map);
      if (this.out === out && this.#map === map) this.#point(map);
    }, REST);
  }

  /** Where pointing at a map leads: to its strongest number; on a single map to the one pointed at. @param {Sheet} sheet @param {number} map @param {number} cell */
  #index(sheet, map, cell) {
    const one = sheet.maps === framesOf(sheet);
    if (one && cell < 0 && this.stage.state.index) return this.stage.state.index;
    return indexIn(sheet, map, one ? cell : strongest(sheet, map));
  }

  /** Show what belongs to a map. @param {number} map */
  #point(map) {
    const { out, stage } = this;
    const { net, value, state } = stage;
    if (!out?.maps || !value || !state.index) return;
    const frames = framesOf(out);
    this.#map = map;
    this.maps.choose(map);
    this.bars.light({ cells: [[state.index.at(-1) ?? 0]] });
    const [low, high] = rangeOf(out, map);
    const axis = out.axes.at(-out.plane - (frames > 1 ? 2 : 1));
    const name = value.kind === "parameter" ? `${axis} ${map}` : net.map(value.id, map) || `map ${map}`;
    const exact = out.exact?.[ravel(state.index.slice(out.sliced ? 1 : 0), out.shape.slice(out.sliced ? 1 : 0))];
    const named = out.maps > frames ? html`<b>${name}</b> <span class="soft">${Number.isNaN(low) ? "NaN" : `${short(low)} to ${short(high)}`}</span>` : html`<b>${net.spot(value.id, state.index)}</b> ${exact === undefined ? nothing : short(exact)}`;
    render(named, /** @type {HTMLElement} */ (this.el.querySelector(".named")));
    const which = this.el.querySelector(".which");
    if (which) render(`kernel ${map}`, /** @type {HTMLElement} */ (which));
    for (const { sheet, maps } of this.#in) {
      const same = sheet.maps / framesOf(sheet) === out.maps / frames && stage.net.maker(value.id)?.family !== "concat";
      if (this.#paired && sheet === this.#in[0].sheet) maps.turn(this.#beside(sheet));
      else maps.choose(same ? map : -1);
    }
  }

  /** Open a map at its window. @param {number} map @param {number} cell */
  #open(map, cell) {
    const { out, stage } = this;
    if (!out) return;
    const made = stage.net.maker(out.value);
    stage.go({ index: this.#index(out, map, cell), channel: null, near: made ? "window" : "number" });
  }

  /** Open the window of the map pointed at, on one of the maps that come in; else that map's own step. @param {number} i @param {number} map @param {number} cell */
  #into(i, map, cell) {
    const { stage, out } = this;
    const { id, sheet } = this.#in[i];
    if (!out) return;
    if (this.#paired && i === 0) return stage.go({ index: indexIn(out, this.#map, strongest(out, this.#map)), channel: map, near: "window" });
    return stage.go({ at: stage.net.value(id).name, index: this.#index(sheet, map, cell), near: stage.net.maker(id) ? "window" : "step" });
  }
}
