// One operation side by side: what comes in with the window on it, the kernel, what goes out; each of them moves the window.

import { html, nothing, render } from "./vendor/lit-html.js";
import { equals, feeding } from "./families/family.js";
import { familyOf, fed } from "./families/table.js";
import { channelSums, landings } from "./families/windowed.js";
import { largest } from "./colours.js";
import { segments } from "./frame.js";
import { plural, ravel, same, short, signed, unravel, volume } from "./numbers.js";
import { Bars } from "./parts/bars.js";
import { Cells } from "./parts/cells.js";
import { barred, folded, seating } from "./parts/seating.js";

const BEAT = 320; // milliseconds a place, while it plays

/** A seat of the bench: a map, or a row of named bars. */
class Place {
  bar = false;

  /** @param {string} label @param {Doing} does */
  constructor(label, does) {
    this.cells = new Cells(label, does);
    this.bars = new Bars(label, does);
  }

  get shown() {
    return this.bar ? this.bars : this.cells;
  }
}

export class Bench {
  /** @type {Laid | null} */ laid = null;
  /** @type {number[] | null} */ #strong = null;
  #timer = 0;
  #moved = false;
  #counts = false;
  /** @type {"this" | "other" | "difference"} */ side = "this";
  /** @type {{ key: string, from: number } | null} */ #pulled = null;
  #size = { small: false, width: 200, narrow: false };
  /** The weights of a row, and what they are of. @type {{ laid: Laid, place: number[] } | undefined} */ weighed;

  /** @param {Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.el = Object.assign(document.createElement("section"), { className: "bench", ariaLabel: "The window" });
    const leave = () => this.#point(null);
    /** @type {(label: string, does: Doing) => Place} */
    const seat = (label, { over, ...does }) => new Place(label, { over: (cell) => { this.stop(); over(cell); }, leave, ...does });
    const over = (/** @type {number[]} */ cell) => this.#overOutput(cell);
    this.input = seat("what comes in", { over: (cell) => this.#overInput(cell), press: (cell) => this.#pressInput(cell), pull: (cell, up) => this.#pullInput(cell, up) });
    this.second = seat("what else comes in", { over });
    this.output = seat("what goes out", { over, press: (cell) => this.#pressOutput(cell) });
    this.weights = new Cells("the weights", { over: (k) => this.#point(k), leave });
  }

  get #family() {
    return familyOf(this.#laid, this.place);
  }

  /** What lies on the bench, once something does. */
  get #laid() {
    return /** @type {Laid} */ (this.laid);
  }

  get place() {
    return this.laid?.placeOf(this.stage.state.index ?? []) ?? [];
  }

  /** Whether an input cell leads, and the window follows. */
  get #feeds() {
    return Boolean(this.stage.state.way === "feeds" && this.#family.readers && this.#laid.shown);
  }

  /** Draw everything of a number's step. @param {Laid} laid */
  draw(laid) {
    this.laid = laid;
    const seats = seating(laid, this.stage), { shown } = laid, second = laid.seat("in2"), { net } = this.stage;
    this.#show(laid, seats);
    this.#size = { narrow: seats.narrow, width: seats.middle, small: !this.input.bar && this.input.cells.cell < 16 };
    this.el.classList.toggle("stacked", seats.narrow);
    this.el.dataset.family = laid.family;
    /** @type {(name: string, place: Place, seat: Seat, drop?: number, more?: unknown) => Shown} */
    const figure = (name, place, seat, drop = 0, more = nothing) => html`<figure class="seat ${name}">
      <figcaption>${seat.value === null ? nothing : html`<b title=${net.title(seat.value)}>${net.title(seat.value)}</b> <span class="soft">${laid.part(seat)}</span>`} ${more}</figcaption>
      <div .style=${`margin-top:${drop}px`}>${place.shown.el}</div></figure>`;
    render(html`<div class="seats">${shown ? html`${figure("in", this.input, shown, seats.dropIn)}<span class="sign" aria-hidden="true">${this.#family.sign(laid)}</span>` : nothing}
        ${second ? figure("in2", this.second, second) : html`<figure class="seat mid"><figcaption>${this.#caption(laid)}</figcaption><div class="middle"></div></figure>`}
        <span class="sign" aria-hidden="true">=</span>${figure("out", this.output, laid.out, seats.dropOut, laid.seat("real") ? this.#switch() : nothing)}
      </div><div class="chips"></div><div class="line" role="group" aria-label="how the number is made"></div>
      ${this.#moved ? nothing : html`<p class="hint soft">${this.#hint()}</p>`}`, this.el);
    this.update();
  }

  #switch() {
    const { any } = this.stage.changes;
    return segments("Which map", [["this", any ? "now" : "here"], ["other", any ? "before" : "there"], ["difference", "difference"]], this.side, (side) => { this.side = side; this.stage.draw(); });
  }

  #hint() {
    if (this.stage.state.way === "feeds") return "Move over the input: what does each number feed?";
    const kernel = /^(conv|transposed)$/.test(this.#laid.family) && !this.#laid.beside, change = kernel ? " Drag a weight up or down to change it." : "";
    return matchMedia("(hover: none)").matches ? `Slide a finger over the maps.${change}` : `Move over the input${kernel ? ", the kernel" : ""} or the output.${change}`;
  }

  /** @param {Laid} laid */
  #caption(laid) {
    const maps = laid.net.value(laid.answer.value).shape.at(-1 - laid.rank) ?? 1;
    /** @type {(by: number, name: string, key: string) => Shown} */
    const turn = (by, name, key) => html`<button type="button" class="quiet" aria-label="${name.toLowerCase()} kernel" title="${name} kernel  ${key}"
      @click=${() => this.stage.turn(by)}>${by < 0 ? "‹" : "›"}</button>`;
    return html`<b>${this.#family.caption(laid)}</b>${laid.seat("kernel") && laid.out.at.length > 0 && maps > 1
      ? html` <span class="picker">${turn(-1, "Previous", "[")}${laid.map}${turn(1, "Next", "]")} <span class="soft">of ${maps}</span></span>` : nothing}`;
  }

  /** Show the maps of all seats. @param {Laid} laid @param {Seating} seats */
  #show(laid, { most, cellIn, cellOut, ring }) {
    const { net } = this.stage;
    /** @type {(place: Place, map: Seat | undefined, cell: number, ring?: number[]) => void} */
    const show = (place, map, cell, ring) => {
      if (!map) return;
      place.bar = barred(laid, map);
      const real = laid.seat(map.role === "out" ? "real" : "real_in")?.numbers; // what it was before a change
      if (place.bar) place.bars.show(map, net, Math.min(most.width, 300));
      else place.cells.show({ ...map, ...most, cell, ring, picture: net.isPicture(map.value ?? -1), wrap: folded(laid, map), real: real?.length === map.numbers.length ? real : null });
    };
    show(this.input, laid.shown, cellIn, ring);
    show(this.second, laid.seat("in2"), cellOut);
    show(this.output, { ...laid.out, numbers: this.#outputs(laid) }, cellOut);
  }

  /** The numbers of the output map, or how far they are from those beside them. @param {Laid} laid */
  #outputs(laid) {
    const { numbers } = laid.out, real = laid.seat("real")?.numbers;
    if (this.counts) return landings(laid);
    return !real || this.side !== "difference" ? numbers : numbers.map((x, i) => x - real[i]);
  }

  /** Show what a change does, where that is a few lines of arithmetic. @param {SetNumber} change */
  preview(change) {
    if (!this.laid || this.stage.state.near !== "window") return;
    this.laid.own();
    if (this.#family.preview?.(this.laid, change)) this.draw(this.laid);
  }

  /** Whether the output is tinted by how many products land on each place. */
  get counts() {
    return this.#counts && this.laid?.family === "transposed";
  }

  /** @param {boolean} counts */
  count(counts) {
    this.#counts = counts;
    this.draw(this.#laid);
  }

  /** The window has moved: light it, and write its line. */
  update() {
    const { laid, place, stage } = this;
    if (!laid || !this.el.firstElementChild) return;
    const family = this.#family, terms = family.terms(laid, place);
    /** @type {View} */
    const view = { laid, place, terms, made: laid.recorded(place), own: family.total(laid, place, terms), strong: this.#strong, stage, point: (k) => this.#point(k), ...this.#size };
    this.el.dataset.at = `${laid.answer.value}!${laid.indexOf(place)}`;
    if (this.#feeds) return this.#writeFeeds(view);
    const winners = terms.flatMap(({ at, won }) => (at && won ? [at] : []));
    this.input.shown.light({ cells: this.#inRing(family.lit(laid, place, terms)), strong: terms.find(({ k }) => same(k, this.#strong))?.at, winners });
    if (laid.seat("in2")) this.second.shown.light({ cells: [place] });
    this.output.shown.light({ cells: [place], cover: this.#timer ? this.#flat : undefined });
    this.#write(view, family.line(view), family.sentence(view), this.#chips(view));
  }

  /** Leave out what lies beyond the drawn border. @param {number[][]} cells */
  #inRing(cells) {
    const shape = this.#laid.shown?.shape ?? [], ring = this.input.cells.shown?.ring ?? [0, 0];
    return cells.filter((cell) => cell.every((at, axis) => {
      const edge = ring[axis - cell.length + 2] ?? 0;
      return at >= -edge && at < shape[axis] + edge;
    }));
  }

  /** The flat position of the place. */
  get #flat() {
    return ravel(this.place, this.#laid.out.shape);
  }

  /** @param {View} view @param {unknown} line @param {string} sentence @param {unknown} chips */
  #write(view, line, sentence, chips) {
    const put = this.#put(view);
    for (const [name, content] of /** @type {[string, unknown][]} */ ([["middle", this.#family.middle(view)], ["line", put ? equals(view, nothing) : line], ["chips", chips]])) {
      const box = /** @type {HTMLElement | null} */ (this.el.querySelector(`.${name}`));
      if (box) render(content, box);
    }
    this.stage.say(put || sentence);
  }

  /** What a change put here: no terms add up to it. @param {View} view */
  #put({ laid, place, made }) {
    if (laid.beside) return "";
    const { net, answer, map } = laid, here = this.stage.state.set.filter(({ at }) => net.named(at)?.id === answer.value);
    if (here.some(({ index, to }) => to === "mute" && index === map)) return "This map is switched off: each of its numbers is 0.";
    return here.some(({ index }) => String(index) === String(laid.indexOf(place))) ? `You put ${short(made)} here in place of what was computed.` : "";
  }

  /** The other direction: where an input cell is read. @param {View} view */
  #writeFeeds(view) {
    const { laid } = view, { net } = laid, shown = /** @type {Seat} */ (laid.shown), from = this.#lead(shown), terms = fed(laid, from);
    this.input.shown.light({ cells: [from] });
    this.output.shown.light({ cells: terms.map(({ at }) => at) });
    const map = net.map(laid.answer.value, laid.map) || net.said(laid.answer.value), max = laid.family === "max_pool";
    const how = terms.length < 2 ? "" : laid.seat("kernel") ? ", each time under another weight of the kernel" : max ? `, and is the largest in ${terms.filter(({ weight }) => weight).length} of them` : "";
    const said = `The number ${short(laid.given(from))} at ${net.spot(shown.value ?? -1, [...shown.at, ...from])} of ${laid.source} is read by ${plural(terms.length, "place")} of ${map}${how}.`;
    this.#write({ ...view, terms }, feeding({ ...view, terms }), said, nothing);
  }

  /** The input maps, the one with most part in this number first. @param {View} view */
  #chips({ laid, place, narrow }) {
    const { net, channel, hasAll } = laid, id = laid.shown?.value ?? null;
    if (id === null || (laid.seat("kernel")?.shape[0] ?? 1) === 1 || !laid.windows.length) return nothing;
    const ranked = channelSums(laid, place), list = ranked.slice(0, narrow ? 3 : 5), known = hasAll || same(place, laid.here);
    if (!list.some(([c]) => c === channel)) list.push(ranked.find(([c]) => c === channel) ?? [channel, NaN]);
    const most = Math.abs(ranked[0]?.[1]) || 1, rest = hasAll ? ranked.filter((each) => !list.includes(each)) : [];
    return html`<span class="soft">from</span>${list.map(([c, part]) => html`<button type="button" class="chip" aria-pressed=${c === channel} @click=${() => this.stage.go({ channel: c })}>
        <b>${net.map(id, c)}</b>${known && Number.isFinite(part) ? html`<i class=${part < 0 ? "negative" : "positive"} .style=${`width:${Math.max(2, (26 * Math.abs(part)) / most)}px`}></i>${signed(part)}` : nothing}</button>`)}
      ${rest.length ? html`<span class="soft">${plural(rest.length, "other")} ${signed(rest.reduce((sum, [, part]) => sum + part, 0))}</span>` : nothing}`;
  }

  // Moving

  /** @param {number[] | null} k */
  #point(k) {
    this.#strong = k;
    this.update();
  }

  /** Move to a place; `asks`: the lab is asked for what it is made of, where the seats do not hold that. @param {number[]} place @param {boolean} [asks] */
  #to(place, asks = false) {
    const index = this.#laid.indexOf(place);
    this.#moved = true;
    this.el.querySelector(".hint")?.remove();
    if (asks && !this.#timer && !this.#laid.knows(place)) this.stage.go({ index });
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
    const laid = this.#laid;
    if (this.#feeds) return this.stage.move({ from: [...(laid.shown?.at ?? []), ...cell] });
    const place = this.#family.around(laid, cell);
    this.#strong = this.#family.terms(laid, place).find(({ at }) => same(at, cell))?.k ?? null;
    this.#to(place);
  }

  /** @param {number[]} cell */
  #pressOutput(cell) {
    const known = this.#laid.knows(cell);
    this.#to(cell, true);
    if (known) this.stage.nearer();
  }

  /** Open the input's own number. @param {number[]} cell */
  #pressInput(cell) {
    const { net } = this.stage, { value, at } = this.#laid.shown ?? { value: null, at: [] };
    if (value !== null && !net.isPicture(value)) this.stage.go({ at: net.value(value).name, index: [...at, ...cell] });
  }

  /** Change a number of the network's input: where it was, and by what it is dragged. @param {number[]} cell @param {number} up */
  #pullInput(cell, up) {
    const shown = this.#laid.shown, { kind, name } = this.stage.net.values.get(shown?.value ?? -1) ?? {};
    if (!shown || !name || kind !== "input" || this.#laid.beside) return false;
    const index = [...shown.at, ...cell], key = String(index);
    if (this.#pulled?.key !== key) this.#pulled = { key, from: this.#laid.given(cell) };
    this.stage.change({ at: name, index, to: this.#pulled.from + (up / 90) * (largest(shown.numbers) || 1) });
    return true;
  }

  /** Move by places of the output, or of the input where that leads. @param {number} down @param {number} right */
  arrows(down, right) {
    if (!this.laid) return;
    this.stop();
    const feeds = this.#feeds && this.laid.shown, { shape } = feeds || this.laid.out;
    const by = shape.length === 1 ? [down || right] : [...Array(shape.length - 2).fill(0), down, right];
    const to = (feeds ? this.#lead(feeds) : this.place).map((at, axis) => Math.max(0, Math.min(shape[axis] - 1, at + by[axis])));
    this.#strong = null;
    if (feeds) this.stage.move({ from: [...feeds.at, ...to] });
    else this.#to(to, true);
  }

  /** The input cell that leads: the middle of the window, until the reader chooses one. @param {Seat} shown @returns {number[]} */
  #lead(shown) {
    const terms = this.#family.terms(this.#laid, this.place);
    return this.stage.state.from?.slice(-shown.shape.length) ?? terms.find(({ at }, i) => at && i >= (terms.length - 1) / 2)?.at ?? shown.shape.map(() => 0);
  }

  /** Move to the next place, in reading order. @param {number} by */
  next(by) {
    if (!this.laid) return;
    const { shape } = this.laid.out, size = volume(shape);
    this.#strong = null;
    this.#to(unravel((this.#flat + by + size) % size, shape), true);
  }

  get playing() {
    return this.#timer !== 0;
  }

  /** Play, from the first place on, until the map is full; with reduced motion it is one step. */
  play() {
    if (!this.laid) return;
    if (this.#timer) return this.stop();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.next(1);
    this.#timer = setInterval(() => {
      if (this.#flat === this.#laid.out.numbers.length - 1) this.stop();
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
