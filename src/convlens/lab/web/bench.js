// One operation side by side: what comes in with the window on it, the kernel, what goes out; each of them moves the window.

import { html, nothing, render } from "./vendor/lit-html.js";
import { equals } from "./families/family.js";
import { familyOf } from "./families/table.js";
import { channelSums, feedsLine, landings } from "./families/windowed.js";
import { largest } from "./colours.js";
import { plural, short, signed } from "./numbers.js";
import { Bars } from "./parts/bars.js";
import { Cells } from "./parts/cells.js";
import { barred, folded, seating } from "./parts/seating.js";
import { segments } from "./frame.js";

/**
 * @typedef {import("./families/family.js").View} View
 * @typedef {import("./laid.js").Laid} Laid
 * @typedef {import("./laid.js").Seat} Seat
 * @typedef {{ cells: Cells, bars: Bars, bar: boolean }} BenchSeat a map, or a row of named bars
 */

const BEAT = 320; // milliseconds a place, while it plays

export class Bench {
  /** @type {Laid | null} */ laid = null;
  /** @type {number[] | null} */ #strong = null;
  #timer = 0;
  #moved = false;

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.el = document.createElement("section");
    this.el.className = "bench";
    this.el.setAttribute("aria-label", "The window");
    const leave = () => this.#point(null);
    this.input = this.#seat("what comes in", (cell) => this.#overInput(cell), (cell) => this.#pressInput(cell), leave, (cell, up) => this.#pullInput(cell, up));
    this.second = this.#seat("what else comes in", (cell) => this.#overOutput(cell), () => {}, leave);
    this.output = this.#seat("what goes out", (cell) => this.#overOutput(cell), (cell) => this.#pressOutput(cell), leave);
  }

  /**
   * @param {string} label @param {(cell: number[]) => void} over @param {(cell: number[]) => void} press @param {() => void} leave
   * @param {(cell: number[], up: number) => boolean} [pull]
   * @returns {BenchSeat}
   */
  #seat(label, over, press, leave, pull) {
    const does = { over: (/** @type {number[]} */ cell) => { this.stop(); over(cell); }, press, leave, pull };
    return { cells: new Cells(label, does), bars: new Bars(label, does), bar: false };
  }

  get #family() {
    return familyOf(this.laid, this.laid ? this.place : undefined);
  }

  get place() {
    return this.laid?.placeOf(this.stage.state.index ?? []) ?? [];
  }

  /** Draw everything of a number's step. @param {Laid} laid */
  draw(laid) {
    this.laid = laid;
    const seats = seating(laid, this.stage.room);
    this.view = { narrow: seats.narrow, width: seats.middle, small: false };
    this.#show(laid, seats);
    this.view.small = !this.input.bar && this.input.cells.cell < 16;
    const { net, state } = this.stage;
    const caption = (/** @type {Seat} */ seat) => (seat.value === null ? nothing : html`<b title=${net.title(seat.value)}>${net.title(seat.value)}</b> <span class="soft">${laid.part(seat)}</span>`);
    const shown = laid.shown;
    const second = laid.seat("in2");
    const { sign } = this.#family;
    this.el.classList.toggle("stacked", seats.narrow);
    this.el.dataset.family = laid.answer.family;
    render(html`<div class="seats">
        ${shown ? html`<figure class="seat in"><figcaption>${caption(shown)}</figcaption><div .style=${`margin-top:${seats.dropIn}px`}>${this.input.bar ? this.input.bars.el : this.input.cells.el}</div></figure>
          <span class="sign" aria-hidden="true">${typeof sign === "string" ? sign : sign(laid)}</span>` : nothing}
        ${second ? html`<figure class="seat in2"><figcaption>${caption(second)}</figcaption>${this.second.cells.el}</figure>`
        : html`<figure class="seat mid"><figcaption>${this.#caption()}</figcaption><div class="middle"></div></figure>`}
        <span class="sign" aria-hidden="true">=</span>
        <figure class="seat out"><figcaption>${caption(laid.out)} ${laid.seat("real") ? this.#switch(laid) : nothing}</figcaption><div .style=${`margin-top:${seats.dropOut}px`}>${this.output.bar ? this.output.bars.el : this.output.cells.el}</div></figure>
      </div><div class="chips"></div><div class="line" role="group" aria-label="how the number is made"></div>
      ${this.#moved ? nothing : html`<p class="hint soft">${this.#hint(state.way)}</p>`}`, this.el);
    this.update();
  }

  /** @param {Laid} laid */
  #switch(laid) {
    const names = /** @type {const} */ ([["this", this.stage.changes.any ? "now" : "here"], ["other", this.stage.changes.any ? "before" : "there"], ["difference", "difference"]]);
    return segments("Which map", names, this.sides, (side) => { this.sides = side; this.draw(laid); });
  }

  /** @param {string} way */
  #hint(way) {
    if (way === "feeds") return "Move over the input: what does each number feed?";
    const kernel = /^(conv|transposed)$/.test(this.laid?.answer.family ?? "");
    const change = kernel ? " Drag a weight up or down to change it." : "";
    return matchMedia("(hover: none)").matches ? `Slide a finger over the maps.${change}` : `Move over the input${kernel ? ", the kernel" : ""} or the output.${change}`;
  }

  #caption() {
    const laid = /** @type {Laid} */ (this.laid);
    const maps = laid.net.value(laid.answer.value).shape.at(-1 - laid.rank) ?? 1;
    const here = laid.out.at.at(-1) ?? 0;
    const to = (/** @type {number} */ by) => this.stage.turn(by);
    return html`<b>${this.#family.caption(laid)}</b>${laid.seat("kernel") && laid.out.at.length > 0 && maps > 1 ? html`<span class="picker">
      <button type="button" class="quiet" aria-label="previous kernel" title="Previous kernel  [" @click=${() => to(-1)}>‹</button>${here}<button type="button" class="quiet"
      aria-label="next kernel" title="Next kernel  ]" @click=${() => to(1)}>›</button> <span class="soft">of ${maps}</span></span>` : nothing}`;
  }

  /** Show the maps of all seats. @param {Laid} laid @param {import("./parts/seating.js").Seating} seats */
  #show(laid, { most, cellIn, cellOut, ring }) {
    const { net } = this.stage;
    const show = (/** @type {BenchSeat} */ seat, /** @type {Seat | undefined} */ map, /** @type {number} */ cell, /** @type {number[]} */ around) => {
      if (!map) return;
      seat.bar = barred(laid, map);
      if (seat.bar) seat.bars.show(map, net, Math.min(most.width, 300));
      else seat.cells.show({ ...map, ...most, cell, ring: around, picture: net.isPicture(map.value ?? -1), wrap: folded(laid, map), real: this.#real(map) });
    };
    show(this.input, laid.shown, cellIn, ring);
    show(this.second, laid.seat("in2"), cellOut, [0, 0]);
    show(this.output, this.#side(laid), cellOut, [0, 0]);
  }

  /** The output map, or, where another recording lies beside it, that one's, or their difference. @param {Laid} laid @returns {Seat} */
  #side(laid) {
    const { out } = laid;
    if (this.counts) return { ...out, numbers: landings(laid) };
    const real = laid.seat("real");
    if (!real || this.sides === "this") return out;
    return { ...out, numbers: this.sides === "other" ? real.numbers : out.numbers.map((x, i) => x - real.numbers[i]) };
  }

  /** @type {"this" | "other" | "difference"} */ sides = "this";

  /** What a map was before a change. @param {Seat} map */
  #real(map) {
    const real = this.laid?.seat(map.role === "out" ? "real" : "real_in");
    return real?.numbers.length === map.numbers.length ? real.numbers : null;
  }

  /** Show what a change does, where that is a few lines of arithmetic. @param {import("./state.js").SetNumber} change */
  preview(change) {
    if (!this.laid || this.stage.state.near !== "window") return;
    this.laid.own();
    if (this.#family.preview?.(this.laid, change)) this.draw(this.laid);
  }

  view = { small: false, width: 200, narrow: false };

  /** Whether the output is tinted by how many products land on each place. */
  get counts() {
    return this.#counts && this.laid?.answer.family === "transposed";
  }

  /** @param {boolean} counts */
  count(counts) {
    this.#counts = counts;
    if (this.laid) this.draw(this.laid);
  }

  #counts = false;

  /** @returns {View} */
  #view() {
    const laid = /** @type {Laid} */ (this.laid);
    const { stage, place } = this;
    const family = this.#family;
    const terms = family.terms(laid, place);
    return { laid, place, terms, own: family.total(laid, place, terms), strong: this.#strong, from: stage.state.from, stage, point: (k) => this.#point(k), ...this.view };
  }

  /** The window has moved: light it, and write its line. */
  update() {
    const { laid } = this;
    if (!laid || !this.el.firstElementChild) return;
    const view = this.#view();
    this.el.dataset.at = `${laid.answer.value}!${laid.indexOf(view.place)}`;
    if (this.stage.state.way === "feeds" && this.#family.readers && laid.shown) return this.#feeds(view);
    const tap = this.#strong && view.terms.find((t) => String(t.k) === String(this.#strong));
    const winners = view.terms.filter((t) => t.won).flatMap((t) => (t.at ? [t.at] : []));
    const cells = this.#family.lit?.(laid, view.place) ?? view.terms.flatMap((t) => (t.at ? [t.at] : []));
    this.#light(this.input, { cells: this.#inRing(cells), strong: tap?.at ?? null, winners });
    if (laid.seat("in2")) this.#light(this.second, { cells: [view.place] });
    this.#light(this.output, { cells: [view.place], cover: this.#timer ? this.#flat(view.place) : null });
    this.#write(view, this.#family.line(view));
    this.#chips(view);
  }

  /** @param {BenchSeat} seat @param {import("./parts/cells.js").Lit} lit */
  #light(seat, lit) {
    if (seat.bar) seat.bars.light(lit);
    else if (seat.cells.shown) seat.cells.light(lit);
  }

  /** Leave out what lies beyond the drawn border. @param {number[][]} cells */
  #inRing(cells) {
    const shape = this.laid?.shown?.shape ?? [];
    const ring = this.input.cells.shown?.ring ?? [0, 0];
    return cells.filter((cell) => cell.every((at, axis) => {
      const edge = ring[axis - cell.length + 2] ?? 0;
      return at >= -edge && at < shape[axis] + edge;
    }));
  }

  /** @param {number[]} place */
  #flat(place) {
    return place.reduce((at, i, axis) => at * /** @type {Laid} */ (this.laid).out.shape[axis] + i, 0);
  }

  /** @param {View} view @param {unknown} line */
  #write(view, line) {
    const middle = this.el.querySelector(".middle");
    if (middle) render(this.#family.middle(view), /** @type {HTMLElement} */ (middle));
    const put = this.#put(view);
    render(put ? equals(view, nothing) : line, /** @type {HTMLElement} */ (this.el.querySelector(".line")));
    this.stage.say(put || this.#family.sentence(view));
  }

  /** What a change put here: no terms add up to it. @param {View} view */
  #put({ laid, place }) {
    const { net, answer, out } = laid, here = this.stage.state.set.filter(({ at }) => net.named(at)?.id === answer.value);
    if (here.some(({ index, to }) => to === "mute" && index === out.at.at(-1))) return "This map is switched off: each of its numbers is 0.";
    return here.some(({ index }) => String(index) === String(laid.indexOf(place))) ? `You put ${short(laid.recorded(place))} here in place of what was computed.` : "";
  }

  /** The other direction: where an input cell is read. @param {View} view */
  #feeds(view) {
    const laid = view.laid;
    const shown = /** @type {Seat} */ (laid.shown);
    const from = this.#lead(shown);
    const fed = this.#family.readers?.(laid, from) ?? [];
    const value = shown.numbers[this.#at(shown, from)];
    this.#light(this.input, { cells: [from] });
    this.#light(this.output, { cells: fed.map((f) => f.place) });
    this.#write({ ...view, terms: fed.map((f) => ({ at: f.place, k: f.k, value, weight: f.weight, product: f.product })) }, feedsLine(view, fed));
    const where = laid.net.spot(shown.value ?? -1, [...shown.at, ...from]);
    const map = laid.net.map(laid.answer.value, laid.out.at.at(-1) ?? 0) || laid.net.said(laid.answer.value);
    const how = fed.length < 2 ? "" : laid.seat("kernel") ? ", each time under another weight of the kernel" : laid.answer.family === "max_pool" ? `, and is the largest in ${fed.filter((f) => f.weight).length} of them` : "";
    this.stage.say(`The number ${short(value)} at ${where} of ${laid.net.said(shown.value ?? -1)} is read by ${plural(fed.length, "place")} of ${map}${how}.`);
    render(nothing, /** @type {HTMLElement} */ (this.el.querySelector(".chips")));
  }

  /** The input maps, the one with most part in this number first. @param {View} view */
  #chips({ laid, place }) {
    const box = /** @type {HTMLElement} */ (this.el.querySelector(".chips"));
    const id = laid.shown?.value ?? null;
    const maps = laid.seat("kernel")?.shape[0] ?? 1;
    if (id === null || maps === 1 || !laid.step?.windows.length) return render(nothing, box);
    const ranked = channelSums(laid, place);
    const many = this.view.narrow ? 3 : 5;
    const list = ranked.slice(0, many);
    const own = ranked.find(([c]) => c === laid.channel) ?? /** @type {[number, number]} */ ([laid.channel ?? 0, NaN]);
    if (!list.some(([c]) => c === laid.channel)) list.push(own);
    const known = laid.hasAll || String(place) === String(laid.answer.index.slice(-laid.rank));
    const most = Math.abs(ranked[0]?.[1]) || 1;
    const rest = known && laid.hasAll ? ranked.filter(([c]) => !list.some(([l]) => l === c)) : [];
    render(html`<span class="soft">from</span>${list.map(([c, part]) => html`<button type="button" class="chip" aria-pressed=${c === laid.channel} @click=${() => this.stage.go({ channel: c })}>
        <b>${laid.net.map(id, c)}</b>${known && Number.isFinite(part) ? html`<i class=${part < 0 ? "negative" : "positive"} .style=${`width:${Math.max(2, (26 * Math.abs(part)) / most)}px`}></i>${signed(part)}` : nothing}</button>`)}
      ${rest.length ? html`<span class="soft">${plural(rest.length, "other")} ${signed(rest.reduce((sum, [, part]) => sum + part, 0))}</span>` : nothing}`, box);
  }

  // Moving

  /** @param {number[] | null} k */
  #point(k) {
    this.#strong = k;
    if (this.laid) this.update();
  }

  /** Move to a place; `asks`: the lab is asked for what it is made of, where the seats do not hold that. @param {number[]} place @param {boolean} [asks] */
  #to(place, asks = false) {
    const laid = /** @type {Laid} */ (this.laid);
    const index = laid.indexOf(place);
    this.#moved = true;
    this.el.querySelector(".hint")?.remove();
    if (asks && !this.#timer && !laid.knows(place)) this.stage.go({ index });
    else this.stage.move({ index });
  }

  /** @param {number[]} cell */
  #overOutput(cell) {
    if (this.stage.state.way === "feeds") this.stage.move({ way: "made", from: null });
    this.#strong = null;
    this.#to(cell);
  }

  /** @param {number[]} cell */
  #overInput(cell) {
    const laid = /** @type {Laid} */ (this.laid);
    if (this.stage.state.way === "feeds" && this.#family.readers) return this.stage.move({ from: [...(laid.shown?.at ?? []), ...cell] });
    const place = this.#family.around(laid, cell);
    this.#strong = this.#family.terms(laid, place).find((t) => String(t.at) === String(cell))?.k ?? null;
    this.#to(place);
  }

  /** @param {number[]} cell */
  #pressOutput(cell) {
    const known = this.laid?.knows(cell);
    this.#to(cell, true);
    if (known) this.stage.nearer();
  }

  /** Open the input's own number. @param {number[]} cell */
  #pressInput(cell) {
    const shown = this.laid?.shown;
    if (!shown || shown.value === null || this.stage.net.isPicture(shown.value)) return;
    this.stage.go({ at: this.stage.net.value(shown.value).name, index: [...shown.at, ...cell] });
  }

  /** Change a number of the network's input: where it was, and by what it is dragged. @param {number[]} cell @param {number} up */
  #pullInput(cell, up) {
    const shown = this.laid?.shown;
    if (!shown || shown.value === null || this.stage.net.value(shown.value).kind !== "input") return false;
    const index = [...shown.at, ...cell];
    const key = String(index);
    if (this.#pulled?.key !== key) this.#pulled = { key, from: shown.numbers[this.#at(shown, cell)] };
    this.stage.change({ at: this.stage.net.value(shown.value).name, index, to: this.#pulled.from + (up / 90) * (largest(shown.numbers) || 1) });
    return true;
  }

  /** @type {{ key: string, from: number } | null} */ #pulled = null;

  /** @param {Seat} seat @param {number[]} cell */
  #at(seat, cell) {
    return cell.reduce((at, i, axis) => at * seat.shape[axis] + i, 0);
  }

  /** Move by places of the output, or of the input where that leads. @param {number} down @param {number} right */
  arrows(down, right) {
    if (!this.laid) return;
    this.stop();
    const feeds = this.stage.state.way === "feeds" && this.#family.readers && this.laid.shown;
    const shape = feeds ? feeds.shape : this.laid.out.shape;
    const place = feeds ? this.#lead(feeds) : [...this.place];
    const by = shape.length === 1 ? [down || right] : [...Array(shape.length - 2).fill(0), down, right];
    this.#strong = null;
    const to = place.map((at, axis) => Math.max(0, Math.min(shape[axis] - 1, at + by[axis])));
    if (feeds) this.stage.move({ from: [...feeds.at, ...to] });
    else this.#to(to, true);
  }

  /** The input cell that leads: the middle of the window, until the reader chooses one. @param {Seat} shown @returns {number[]} */
  #lead(shown) {
    const laid = /** @type {Laid} */ (this.laid);
    const terms = this.#family.terms(laid, this.place);
    return this.stage.state.from?.slice(-shown.shape.length) ?? terms.find((t, i) => t.at && i >= (terms.length - 1) / 2)?.at ?? shown.shape.map(() => 0);
  }

  /** Move to the next place, in reading order. @param {number} by */
  next(by) {
    if (!this.laid) return;
    const { shape } = this.laid.out;
    const size = shape.reduce((a, b) => a * b, 1);
    let at = (this.#flat(this.place) + by + size) % size;
    const place = shape.map(() => 0);
    for (let axis = shape.length - 1; axis >= 0; axis--) { place[axis] = at % shape[axis]; at = Math.floor(at / shape[axis]); }
    this.#strong = null;
    this.#to(place, true);
  }

  /** Whether it plays. */
  get playing() {
    return this.#timer !== 0;
  }

  /** Play, from the first place on, until the map is full; with reduced motion it is one step. */
  play() {
    if (!this.laid) return;
    if (this.#timer) return this.stop();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.next(1);
    this.#timer = setInterval(() => {
      const { laid } = this;
      if (!laid || this.#flat(this.place) === laid.out.numbers.length - 1) this.stop();
      else this.next(1);
    }, BEAT);
    this.#to(this.laid.out.shape.map(() => 0));
    this.stage.playing();
  }

  stop() {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = 0;
    this.update();
    this.stage.playing();
  }
}
