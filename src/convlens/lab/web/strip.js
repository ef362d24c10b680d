// The network as a strip of live thumbnails, from the picture to the answer; at the distance of the network it is the screen.

import { html, nothing, render, svg } from "./vendor/lit-html.js";
import { COSTS, box, drawn, failed, failing, fit, said, sum } from "./cards.js";
import { segments } from "./frame.js";
import { path, plan } from "./layout.js";
import { unravel } from "./numbers.js";
import { Fields } from "./parts/fields.js";
import { blocks, curve, middle, places } from "./places.js";
import { Thumbs } from "./thumbs.js";

/**
 * @typedef {import("./layout.js").Card} Card
 * @typedef {import("./layout.js").Plan} Plan
 * @typedef {import("./cards.js").View} View
 * @typedef {import("./parts/fields.js").Field} Field
 * @typedef {View & { li: HTMLElement, frame: HTMLElement, size: [number, number], last: string }} Spot a card on the page, and the frame on its thumbnail
 */

const REST = 300; // milliseconds without a change after which the thumbnails are asked for again

export class Strip {
  /** What stands below the strip at the distance of the network. */
  below = document.createElement("div");
  /** The field of the open number in every value that it is made of or reaches. @type {Map<number, Field>} */ fields = new Map();
  /** @type {Fields | null} */ #fielded = null;
  /** @type {{ net: unknown, open: string, plan: Plan } | null} */ #whole = null;
  /** @type {Spot[]} */ #spots = [];
  /** @type {{ el: Element, ends: number[] }[]} */ #links = [];
  /** @type {import("./laid.js").Laid | null} */ #laid = null;
  /** @type {ImageBitmap | null} */ #picture = null;
  #cost = "multiply–adds";
  #turn = 0;
  #late = 0;
  #stood = "";

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.el = stage.at("strip");
    this.below.className = "costs";
    this.thumbs = new Thumbs(stage.net);
    this.el.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.el.addEventListener("keydown", (event) => this.#key(event));
  }

  /** A network has been recorded. */
  load() {
    const { net } = this.stage;
    [this.#fielded, this.thumbs, this.#picture] = [new Fields(net), new Thumbs(net), null];
    this.#ask();
  }

  /** The numbers have changed, the network has not. */
  changed() {
    clearTimeout(this.#late);
    this.#late = setTimeout(() => this.#ask(), REST);
  }

  /** Ask for the thumbnails. */
  async #ask() {
    const { stage } = this, { questions, net, state } = stage, turn = ++this.#turn, { picture_value } = net.told;
    const painted = state.set.some(({ at }) => net.named(at)?.id === picture_value);
    try {
      const [atlas, picture] = await Promise.all([questions.once("atlas", {}), picture_value === null || (this.#picture && !painted) ? this.#picture : questions.picture()]);
      if (turn !== this.#turn) return;
      this.thumbs.take(atlas, picture);
      [this.#picture, this.#laid] = [picture, null];
      this.draw();
      this.follow();
    } catch (error) {
      if (turn === this.#turn) stage.alert(error);
    }
  }

  /** The values in the order of their cards; the open one stands for the card that holds it. @returns {number[]} */
  order() {
    const { cards, homes } = this.#plan(), open = this.stage.value?.id ?? -1;
    return cards.map(({ key, value }) => (homes.get(open) === key ? open : value));
  }

  /** All cards, unfolded as the state says. */
  #plan() {
    const { net, state } = this.stage, open = state.open.join(";");
    if (this.#whole?.net !== net || this.#whole.open !== open) this.#whole = { net, open, plan: plan({ steps: net.steps, values: net.values, calls: net.told.calls }, { open: new Set(state.open) }) };
    return this.#whole.plan;
  }

  /** Find the fields of the number that leads: the open one, or where the way is "feeds" the one that is read. */
  #find() {
    const { state, value, net, laid } = this.stage, { from, index, near, way } = state;
    if (!value || !index || !this.#fielded) return new Map();
    const read = way === "feeds" && near === "window" && laid?.answer.value === value.id ? laid.shown?.value ?? null : null;
    return read !== null && from?.length === net.value(read).shape.length ? this.#fielded.of(read, from) : this.#fielded.of(value.id, index);
  }

  // Drawing

  draw() {
    const { stage, el, thumbs } = this, { net, state, value } = stage, big = state.near === "network", cost = this.#cost;
    if (!net.told.recording) return;
    const whole = this.#plan(), near = big ? whole : path(whole, this.#find()), home = whole.homes.get(value?.id ?? -1) ?? "", open = new Set(state.open);
    const laid = failing(near.cards.length > 1 ? near : whole, net.told.fault), keyed = new Map(laid.cards.map((each) => [each.key, each]));
    const card = (/** @type {string} */ key) => /** @type {Card} */ (keyed.get(key)), views = laid.cards.map((each) => this.#view(each, home)), costs = laid.cards.map((each) => sum(stage, each, cost));
    const ratio = Math.max(...views.map(({ rows, columns }) => (rows > 1 ? Math.min(1, rows / columns) : 0))) || 1;
    const at = places(laid, { open, ratio: Math.max(0.25, ratio), wide: el.clientWidth - (laid.aside ? 88 : 0), high: big ? Math.max(320, stage.height - el.offsetTop - 64) : null, more: stage.compare.found ? 8 : 0 });
    const shown = { stage, thumbs, at, home, cost, most: Math.max(...costs) || 1, touched: stage.changes.touched, open: this.#open, unfold: this.#unfold };
    el.classList.toggle("big", big);
    render(html`<div class="inner" .style=${`width:${at.width}px;height:${at.height}px`}>
        ${blocks(at).map(({ key, label, left, top, width, height }) => (big ? html`<div class="block" .style=${box(left, top, width, height)}>
          <button type="button" class="fold" aria-label="Fold ${label}" title="Fold ${label}" @click=${() => this.#fold(key)}>− ${label}</button></div>` : nothing))}
        <svg width=${at.width} height=${at.height} aria-hidden="true">${laid.links.map(({ from, to, skip }) => svg`<path class=${skip ? "skip" : ""} d=${curve(at, card(from), card(to), skip)}></path>`)}</svg>
        <ol>${laid.cards.map((each, i) => (each.kind === "fault" && net.told.fault ? failed(shown, each, net.told.fault) : drawn(shown, each, views[i])))}</ol>
        ${laid.links.map(({ from, to, through }) => (through.length ? this.#dot(through, middle(at, card(from), card(to))) : nothing))}</div>
      ${laid.aside ? html`<button type="button" class="others soft" @click=${() => stage.go({ near: "network" })}>+ ${laid.aside} on other branches</button>` : nothing}`, el);
    render(html`<span class="soft">The bars show</span>${segments("What the bars show", Object.keys(COSTS).map((each) => /** @type {[string, string]} */ ([each, each])), cost,
      (other) => { this.#cost = other; this.draw(); this.follow(); })}<span class="soft">${said(cost, costs.reduce((a, b) => a + b, 0))} in all</span>`, this.below);
    const lis = [...el.querySelectorAll("li")], paths = el.querySelectorAll("path");
    this.#links = laid.links.map(({ from, to }, i) => ({ el: paths[i], ends: [card(from).value, card(to).value] }));
    this.#spots = views.flatMap((view, i) => {
      const li = lis[i], frame = /** @type {HTMLElement | null} */ (li.querySelector(".frame"));
      return frame ? [{ ...view, li, frame, size: fit(at, view.rows, view.columns), last: "?" }] : [];
    });
    this.#stand(`${value?.id} ${big}`, lis[laid.cards.findIndex(({ key }) => key === (value ? home : "fault"))]);
  }

  /** What a card shows: the open map or the one it is made of, else its value's liveliest. @param {Card} card @param {string} home @returns {View} */
  #view({ key, value }, home) {
    const { stage, thumbs } = this, { net, value: open, state: { index } } = stage, seat = stage.laid?.answer.value === open?.id ? stage.laid?.shown : undefined, read = seat?.value ?? -1;
    const id = thumbs.shown(key === home && open ? open.id : key !== home && this.#plan().homes.get(read) === key ? read : value);
    const { rows, columns, maps, lively } = thumbs.plane(id) ?? { rows: 1, columns: 1, maps: 1, lively: [-1] };
    const wanted = id === open?.id && index ? thumbs.map(id, index) : id === read && seat ? thumbs.map(id, seat.at) : -1, map = thumbs.has(id, wanted) ? wanted : lively[0] ?? 0;
    const frames = net.values.has(id) && net.spatial(id) === 3 ? net.value(id).shape.at(-3) ?? 1 : 1;
    return { id, map, rows, columns, maps, frames, known: map >= 0, more: net.isPicture(id) ? [] : lively.filter((each) => each !== map) };
  }

  /** A dot for steps that only hand numbers on. @param {number[]} through @param {[number, number]} middle */
  #dot(through, [x, y]) {
    const { net, go } = this.stage, names = through.map((at) => net.title(net.steps[at].outputs[0])).join(", "), last = net.value(net.steps[through[through.length - 1]].outputs[0]);
    return html`<button type="button" class="dot" .style=${`left:${x}px;top:${y}px`} title="${names}: only hands numbers on" aria-label="${names}, only hands numbers on" @click=${() => go({ at: last.name })}></button>`;
  }

  // Following the pointer

  /** Frame what the number is made of, and what it reaches. */
  follow() {
    const { laid, value } = this.stage;
    if (laid && laid !== this.#laid && laid.answer.value === value?.id) {
      this.#laid = laid;
      for (const seat of [laid.out, laid.shown]) if (seat && seat.value !== null) this.thumbs.exact(seat.value, seat.at, seat.numbers);
      this.draw();
    }
    this.fields = this.#find();
    for (const spot of this.#spots) {
      const field = this.fields.get(spot.id), style = field ? framed(spot, field) : "", out = !field && this.fields.size > 0;
      if (`${style}${out}` === spot.last) continue;
      spot.last = `${style}${out}`;
      spot.li.classList.toggle("out", out);
      spot.frame.hidden = !style;
      spot.frame.style.cssText = style;
    }
    for (const { el, ends } of this.#links) el.classList.toggle("on", ends.every((id) => this.fields.has(id)));
  }

  // Acting

  /** Open a card, or the map of it that was pressed. @param {Card} card @param {View} view @param {Event} event */
  #open = ({ value }, { id, rows, columns }, event) => {
    const { net, state, go } = this.stage, { name, shape } = net.value(value), map = /** @type {HTMLElement} */ (event.target).closest("[data-map]")?.getAttribute("data-map");
    return go({ at: name, ...(map && id === value ? { index: unravel(Number(map) * rows * columns, shape), channel: null } : {}), ...(state.near === "network" ? { near: "step" } : {}) });
  };

  /** @param {string} key */
  #unfold = (key) => this.#still(key, [...this.stage.state.open, key]);

  /** Fold a block, and with it those inside. @param {string} key */
  #fold(key) {
    const inside = this.#plan().cards.flatMap(({ within }) => within.slice(within.findIndex((outer) => outer.key === key) >>> 0).map((outer) => outer.key));
    return this.#still(key, this.stage.state.open.filter((each) => !inside.includes(each)));
  }

  /** Unfold other blocks; the place that was pressed stays where it is. @param {string} key @param {string[]} open */
  async #still(key, open) {
    const place = () => {
      const first = this.#plan().cards.find((card) => card.key === key || card.within.some((outer) => outer.key === key))?.key ?? "";
      return /** @type {HTMLElement | null} */ (this.el.querySelector(`[data-key="${CSS.escape(first)}"]`));
    };
    const before = place()?.getBoundingClientRect().left ?? 0;
    await this.stage.go({ open });
    const after = place();
    this.el.scrollLeft += (after?.getBoundingClientRect().left ?? 0) - before;
    after?.focus({ preventScroll: true });
    if (open.includes(key) && this.#plan().cards.some((card) => card.key === key)) this.stage.alert("There is room for 150 cards; fold another block first.");
  }

  /** Bring the chosen card into sight where another has been chosen; one that is in sight stays where it is. @param {string} stood @param {HTMLElement | undefined} li */
  #stand(stood, li) {
    if (!li || stood === this.#stood) return;
    this.#stood = stood;
    const { el } = this, low = li.offsetLeft - 8, high = li.offsetLeft + li.offsetWidth + 8;
    if (low < el.scrollLeft || high > el.scrollLeft + el.clientWidth) el.scrollLeft = (low + high - el.clientWidth) / 2;
    if (el.querySelector(".card:focus")) /** @type {HTMLElement | null} */ (li.querySelector(".card"))?.focus({ preventScroll: true });
  }

  /** A plain wheel moves the strip sideways, as far as there is more. @param {WheelEvent} event */
  #wheel(event) {
    const { el } = this, before = el.scrollLeft;
    if (event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
    el.scrollLeft += event.deltaY * (event.deltaMode ? 16 : 1);
    if (el.scrollLeft !== before) event.preventDefault();
  }

  /** Keys on a card: + and − unfold and fold; arrows go from card to card where they do not step. @param {KeyboardEvent} event */
  #key(event) {
    const { open, near } = this.stage.state, target = /** @type {HTMLElement} */ (event.target), card = this.#plan().cards.find(({ key }) => key === target.dataset.key);
    if (!card || event.ctrlKey || event.metaKey || event.altKey) return;
    const outer = card.within.filter(({ key }) => open.includes(key)).at(-1), by = near === "window" || near === "number" ? { ArrowLeft: -1, ArrowRight: 1 }[event.key] : 0;
    const all = /** @type {HTMLElement[]} */ ([...this.el.querySelectorAll(".card")]);
    if (near === "network" && event.key === "+" && card.folded) this.#unfold(card.key);
    else if (near === "network" && event.key === "-" && outer) this.#fold(outer.key);
    else if (by) all[all.indexOf(target) + by]?.focus();
    else return;
    event.preventDefault();
  }
}

/** Return the frame of a field as a style; "" where it is the whole map, or in other frames of a clip. @param {Spot} spot @param {Field} field */
function framed({ map, frames, rows, columns, size: [wide, high] }, { box, whole }) {
  const across = box.at(-1), down = rows > 1 ? box.at(-2) : undefined, time = box.length > 2 ? box[0] : [0, frames], frame = map % frames;
  if (whole || !across || frame < time[0] || frame >= time[1]) return "";
  const along = (/** @type {[number, number]} */ [low, end], /** @type {number} */ of, /** @type {number} */ room) => {
    const length = Math.max(5, ((end - low) * room) / of); // what is smaller could not be seen
    return [Math.max(0, Math.min(room - length, ((low + end) * room) / of / 2 - length / 2)), length];
  };
  const [left, width] = along(across, columns, wide), [top, height] = down ? along(down, rows, high) : [0, high];
  return `transform:translate(${left}px,${top}px);width:${width}px;height:${height}px`;
}
