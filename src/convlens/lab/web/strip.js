// The network as a strip of live thumbnails, from the picture to the answer; at the distance of the network it is the screen.

import { html, nothing, render, svg } from "./vendor/lit-html.js";
import { segments } from "./frame.js";
import { path, plan } from "./layout.js";
import { count, percent, plural, short, unravel } from "./numbers.js";
import { Fields } from "./parts/fields.js";
import { blocks, curve, middle, places } from "./places.js";
import { Thumbs } from "./thumbs.js";

/**
 * @typedef {import("./answers.js").StepRow} StepRow
 * @typedef {import("./layout.js").Card} Card
 * @typedef {import("./layout.js").Plan} Plan
 * @typedef {import("./places.js").Places} Places
 * @typedef {import("./parts/fields.js").Field} Field
 * @typedef {{ id: number, map: number, rows: number, columns: number, maps: number, frames: number, known: boolean, more: number[] }} View what a card shows: a value's map, and `more` of its maps
 * @typedef {{ key: string, id: number, map: number, frames: number, rows: number, columns: number, li: HTMLElement, frame: HTMLElement, size: [number, number], drawn: string }} Spot
 *   a card on the page, and the frame on its thumbnail
 */

const FEW = 12; // numbers that are all written as named bars
const REST = 300; // milliseconds without a change after which the thumbnails are asked for again

/** What a step costs, each by its name. @type {Record<string, (step: StepRow, net: import("./net.js").Net) => number>} */
const COSTS = {
  "multiply–adds": ({ multiply_adds }) => multiply_adds,
  weights: ({ weights }) => weights,
  numbers: ({ outputs }, net) => outputs.reduce((sum, id) => sum + net.value(id).shape.reduce((a, b) => a * b, 1), 0),
  time: ({ seconds }) => seconds,
};

export class Strip {
  /** What stands below the strip at the distance of the network. */
  below = document.createElement("div");
  /** The field of the open number in every value that it is made of or reaches. @type {Map<number, Field>} */ fields = new Map();
  /** @type {Fields | null} */ #fielded = null;
  /** @type {Thumbs} */ #thumbs;
  /** @type {{ net: unknown, open: string, plan: Plan } | null} */ #whole = null;
  /** @type {Spot[]} */ #spots = [];
  /** @type {{ el: Element, ends: number[] }[]} */ #links = [];
  /** The values that the reader's changes have reached. @type {Set<number>} */ #touched = new Set();
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
    this.#thumbs = new Thumbs(stage.net);
    this.el.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.el.addEventListener("keydown", (event) => this.#key(event));
  }

  /** A network has been recorded. */
  load() {
    const { net } = this.stage;
    this.#fielded = new Fields(net);
    this.#thumbs = new Thumbs(net);
    this.#picture = null;
    this.#touched.clear();
    this.#ask();
  }

  /** The numbers have changed, the network has not. */
  changed() {
    clearTimeout(this.#late);
    this.#late = setTimeout(() => this.#ask(), REST);
  }

  /** Ask for the thumbnails, and for what the changes have reached. */
  async #ask() {
    const { stage } = this, { questions, net, base } = stage, turn = ++this.#turn, { picture_value } = net.told;
    const painted = picture_value !== null && stage.state.set.some(({ at }) => net.named(at)?.id === picture_value);
    try {
      const changed = questions.recording === base ? null : questions.once("compare", { other: base });
      const [atlas, picture, differ] = await Promise.all([questions.once("atlas", {}), picture_value === null || (this.#picture && !painted) ? this.#picture : questions.picture(), changed]);
      if (turn !== this.#turn) return;
      this.#picture = picture;
      this.#thumbs.take(atlas, picture);
      this.#touched = new Set(differ?.rows.map(({ value }) => value));
      this.#laid = null;
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

  /** All cards, folded as the state says. */
  #plan() {
    const { net, state } = this.stage, open = state.open.join(";");
    if (this.#whole?.net !== net || this.#whole.open !== open) this.#whole = { net, open, plan: plan({ steps: net.steps, values: net.values, calls: net.told.calls }, { open: new Set(state.open) }) };
    return this.#whole.plan;
  }

  /** Find the fields of the number that leads. */
  #find() {
    const { state, value, net, laid } = this.stage;
    if (!value || !state.index || !this.#fielded) return new Map();
    const from = state.way === "feeds" && state.near === "window" && laid?.answer.value === value.id ? laid.shown?.value : null;
    if (state.from && from !== null && from !== undefined && state.from.length === net.value(from).shape.length) return this.#fielded.of(from, state.from);
    return this.#fielded.of(value.id, state.index);
  }

  // Drawing

  draw() {
    const { stage, el } = this, { net, state, value } = stage, big = state.near === "network";
    if (!value) return;
    const whole = this.#plan(), near = big ? whole : path(whole, this.#find()), home = whole.homes.get(value.id) ?? "";
    const laid = failing(near.cards.length > 1 ? near : whole, net), room = el.clientWidth - (laid.aside ? 88 : 0);
    const views = laid.cards.map((card) => this.#view(card, home)), costs = laid.cards.map((card) => this.#costs(card));
    const ratio = Math.max(0.25, ...views.map(({ rows, columns }) => (rows > 1 ? Math.min(1, rows / columns) : 0)));
    const at = places(laid, new Set(state.open), ratio < 0.26 ? 1 : ratio, room, big ? Math.max(320, innerHeight - el.offsetTop - 64) : null);
    const keyed = new Map(laid.cards.map((card) => [card.key, card])), card = (/** @type {string} */ key) => /** @type {Card} */ (keyed.get(key));
    el.classList.toggle("big", big);
    render(html`<div class="inner" .style=${`width:${at.width}px;height:${at.height}px`}>
        ${big ? blocks(at).map(({ key, label, left, top, width, height }) => html`<div class="block" .style=${box(left, top, width, height)}>
          <button type="button" class="fold" aria-label="Fold ${label}" title="Fold ${label}" @click=${() => this.#fold(key)}>− ${label}</button></div>`) : nothing}
        <svg width=${at.width} height=${at.height} aria-hidden="true">${laid.links.map(({ from, to, skip }) => svg`<path class=${skip ? "skip" : ""} d=${curve(at, card(from), card(to), skip)}></path>`)}</svg>
        <ol>${laid.cards.map((each, i) => this.#card(each, views[i], at, each.key === home, costs[i] / (Math.max(...costs) || 1)))}</ol>
        ${laid.links.map(({ from, to, through }) => (through.length ? this.#dot(through, middle(at, card(from), card(to))) : nothing))}</div>
      ${laid.aside ? html`<button type="button" class="others soft" @click=${() => stage.go({ near: "network" })}>+ ${laid.aside} on other branches</button>` : nothing}`, el);
    render(big ? html`<span class="soft">The bars show</span>${segments("What the bars show", Object.keys(COSTS).map((cost) => /** @type {[string, string]} */ ([cost, cost])), this.#cost,
      (cost) => { this.#cost = cost; this.draw(); this.follow(); })}<span class="soft">${said(this.#cost, costs.reduce((a, b) => a + b, 0))} in all</span>` : nothing, this.below);
    const lis = [...el.querySelectorAll("li")], paths = [...el.querySelectorAll("path")];
    this.#links = laid.links.map(({ from, to }, i) => ({ el: paths[i], ends: [card(from).value, card(to).value] }));
    this.#spots = laid.cards.flatMap(({ key }, i) => {
      const { id, map, frames, rows, columns } = views[i], frame = /** @type {HTMLElement | null} */ (lis[i].querySelector(".frame"));
      return frame ? [{ key, id, map, frames, rows, columns, li: lis[i], frame, size: fit(at, rows, columns), drawn: "?" }] : [];
    });
    this.#stand(`${value.id} ${big}`, lis[laid.cards.findIndex(({ key }) => key === home)]);
  }

  /** What a card shows: the open value and map where it holds them, else its own value's liveliest map. @param {Card} card @param {string} home @returns {View} */
  #view({ key, value }, home) {
    const { stage } = this, thumbs = this.#thumbs, open = stage.value, { index } = stage.state;
    const laid = stage.laid?.answer.value === open?.id ? stage.laid : null, seat = laid?.shown, read = seat?.value ?? -1, whole = this.#plan().homes;
    const id = thumbs.shown(key === home && open ? open.id : key !== home && whole.get(read) === key ? read : value), plane = thumbs.plane(id);
    const { rows, columns, maps, lively } = plane ?? { rows: 1, columns: 1, maps: 1, lively: [] };
    const pad = (/** @type {number[]} */ at) => [...at, ...stage.net.value(id).shape.slice(at.length).map(() => 0)];
    const wanted = id === open?.id && index ? thumbs.map(id, index) : id === read && seat ? thumbs.map(id, pad(seat.at)) : -1;
    const map = wanted >= 0 && thumbs.has(id, wanted) ? wanted : lively[0] ?? 0;
    const frames = stage.net.values.has(id) && stage.net.spatial(id) === 3 ? stage.net.value(id).shape.at(-3) ?? 1 : 1;
    return { id, map, rows, columns, maps, frames, known: Boolean(plane), more: stage.net.isPicture(id) ? [] : lively.filter((each) => each !== map) };
  }

  /** @param {Card} card @param {View} view @param {Places} at @param {boolean} chosen @param {number} share of the largest cost */
  #card(card, view, at, chosen, share) {
    const { stage } = this, { net } = stage, { tall, stack } = at, big = stage.state.near === "network", { id, map } = view, place = box(at.x(card), at.y(card), at.size);
    if (card.kind === "fault") return html`<li class="failed" .style=${place} title=${net.told.fault?.sentence}><span class="thumb" role="img" aria-label="${card.label} failed: ${net.told.fault?.sentence}"></span><span class="name" .style=${caption(at)}>${card.label}</span></li>`;
    const name = this.#label(card, at), kind = card.kind === "input" ? (net.isPicture(card.value) ? net.told.picture_name : "input") : `${card.title}${card.count > 1 ? ` ×${card.count}` : ""}`;
    const shape = net.shape(card.value), whole = [card.kind === "input" ? name : card.label, kind, shape].filter(Boolean).join(", ");
    const touched = this.#every(card).some((each) => this.#touched.has(each)), named = big && stack > 1 ? this.#named(id) : [], deep = (stack - 1) * (tall + 6) - 6;
    const left = net.isPicture(id) ? 0 : view.maps - Math.min(view.maps, stack);
    return html`<li class="${card.folded ? "folded" : ""} ${touched ? "changed" : ""}" .style=${place}>
      <button type="button" class="card" data-key=${card.key} aria-current=${chosen ? "step" : nothing} tabindex=${chosen ? 0 : -1} title=${whole} aria-label=${whole} @click=${(/** @type {Event} */ event) => this.#open(card, view, event)}>
        <span class="thumb" .style=${placed(at, view, 0)}>${view.known ? this.#thumbs.canvas(id, map) : nothing}<i class="frame" hidden></i></span>
        ${big && stack > 1 ? (named.length ? html`<span class="bars" .style=${`height:${deep}px;${view.columns > FEW ? caption(at) : ""}`}>${named.slice(0, Math.floor(deep / (view.columns > FEW ? 32 : 18))).map(([what, part, text]) => html`<span class=${view.columns > FEW ? "many" : ""}><b title=${what}>${what}</b><span><i class=${part < 0 ? "negative" : "positive"} .style=${`width:${100 * Math.abs(part)}%`}></i></span>${text}</span>`)}</span>`
          : Array.from({ length: stack - 1 }, (_, i) => (i < view.more.length ? html`<span class="thumb" data-map=${view.more[i]} .style=${placed(at, view, 6)}>${this.#thumbs.canvas(id, view.more[i])}</span>` : html`<span .style=${`height:${tall + 6}px`}></span>`))) : nothing}
        ${big ? html`<span class="rest soft">${left && !named.length ? `+${left}` : ""}</span>` : nothing}
        ${at.named ? html`<span class="name" .style=${caption(at)}>${name}</span>` : nothing}
        ${big ? html`<span class="soft" .style=${caption(at)}>${kind}</span><span class="soft" .style=${caption(at)}>${shape}</span><span class="cost" title=${said(this.#cost, this.#costs(card))}><i .style=${`width:${share ? Math.max(2, 100 * share) : 0}%`}></i></span>` : nothing}
        ${this.#apart(card)}</button>
      ${big && card.folded ? html`<button type="button" class="unfold" tabindex="-1" aria-label="Unfold ${card.label}" @click=${() => this.#unfold(card.key)}>+ ${card.kind === "repeat" ? plural(card.count, "block") : plural(card.steps[1] - card.steps[0], "step")}</button>` : nothing}</li>`;
  }

  /** A card's name, as many of its path's last parts as there is room for. @param {Card} card @param {Places} at */
  #label({ kind, value, label, within }, { step }) {
    const { net, state } = this.stage, big = state.near === "network", room = (step - 8) / (big ? 8.2 : 6.6);
    if (kind === "input") return net.title(value);
    const around = within.filter(({ key }) => big && state.open.includes(key)).at(-1)?.label, [first, last] = (kind === "step" ? net.title(value) : label).split(" – ");
    const run = kind === "repeat" && last ? `–${last.split(".").at(-1)}` : "";
    const parts = (around && first.startsWith(`${around}.`) ? first.slice(around.length + 1) : first).split(".");
    while (parts.length > 1 && parts.join(".").length + run.length > room && !/^\d/.test(parts[1])) parts.shift();
    const name = parts.join(".") + run;
    return name.length > room + 1 && parts.length > 1 ? `…${name.slice(1 - Math.floor(room))}` : name;
  }

  /** A dot for steps that only hand numbers on. @param {number[]} through @param {[number, number]} middle */
  #dot(through, [x, y]) {
    const { net, go } = this.stage, steps = through.map((at) => net.steps[at]), names = steps.map(({ name }) => name).join(", "), last = net.value(steps[steps.length - 1].outputs[0]);
    return html`<button type="button" class="dot" .style=${`left:${x}px;top:${y}px`} title="${names}: hands the numbers on, folded away" aria-label="${names}, folded away" @click=${() => go({ at: last.name })}></button>`;
  }

  /** A bar for the largest difference from what is compared, on a scale of powers of ten. @param {Card} card */
  #apart(card) {
    const { compare } = this.stage;
    if (!compare.found) return nothing;
    const rows = this.#every(card).map((id) => compare.row(id)).filter((row) => row !== null), largest = Math.max(0, ...rows.map((row) => row.largest));
    const most = Math.max(...compare.found.rows.map((row) => row.largest)), share = largest > 0 ? Math.max(4, 100 + (100 * Math.log10(largest / most)) / 8) : 0;
    return html`<span class="apart ${rows.some(({ first }) => first) ? "first" : ""}" title=${largest ? `largest difference ${short(largest)}` : "equal"}><i .style=${`width:${share}%`}></i></span>`;
  }

  /** The values that a card stands for. @param {Card} card @returns {number[]} */
  #every({ kind, value, steps: [first, end] }) {
    return kind === "input" ? [value] : this.stage.net.steps.slice(first, end).flatMap(({ outputs }) => outputs);
  }

  /** @param {Card} card */
  #costs({ steps: [first, end] }) {
    const { net } = this.stage;
    return net.steps.slice(first, end).reduce((sum, step) => sum + COSTS[this.#cost](step, net), 0);
  }

  /** The classes of a value with their parts of the largest, all of a few or the best of many. @param {number} id @returns {[string, number, string][]} */
  #named(id) {
    const { net } = this.stage, { told } = net, plane = this.#thumbs.plane(id), named = plane?.rows === 1 && plane.maps === 1 && net.category(id, 0) !== null;
    if (!plane || !named) return [];
    const most = Math.max(Math.abs(plane.low), Math.abs(plane.high)) || 1, best = id === told.output ? told.scores : [];
    const text = (/** @type {number} */ i) => { const score = best[0]?.index.at(-1) === i ? best[0] : null; return score?.share ? percent(score.share) : ""; };
    if (plane.columns <= FEW) return this.#thumbs.numbers(id, plane.lively[0] ?? 0, plane).list.map((x, i) => [net.category(id, i) ?? "", x / most, text(i)]);
    return best.map(({ index, score }) => [net.category(id, index.at(-1) ?? 0) ?? "", score / most, text(index.at(-1) ?? 0)]);
  }

  // Following the pointer

  /** Frame what the number is made of, and what it reaches. */
  follow() {
    const { stage } = this, { laid, net, value } = stage;
    if (laid && laid !== this.#laid && laid.answer.value === value?.id) {
      this.#laid = laid;
      for (const seat of [laid.out, laid.shown]) if (seat && seat.value !== null) this.#thumbs.exact(seat.value, seat.at, seat.numbers);
      this.draw();
    }
    this.fields = this.#find();
    for (const spot of this.#spots) {
      const field = this.fields.get(spot.id), drawn = field ? frameOf(spot, field) : "none";
      if (drawn === spot.drawn) continue;
      spot.drawn = drawn;
      spot.li.classList.toggle("out", !field);
      spot.frame.hidden = drawn.length < 5;
      spot.frame.style.cssText = drawn;
    }
    for (const { el, ends } of this.#links) el.classList.toggle("on", ends.every((id) => this.fields.has(id)));
  }

  // Acting

  /** @param {Card} card @param {View} view @param {Event} event */
  #open(card, { id, maps, rows, columns }, event) {
    const { net, state, go } = this.stage, value = net.value(card.value), big = state.near === "network";
    const map = /** @type {HTMLElement} */ (event.target).closest("[data-map]")?.getAttribute("data-map");
    const index = map && id === value.id && maps > 1 ? unravel(Number(map) * rows * columns, value.shape) : null;
    return go({ at: value.name, ...(index ? { index, channel: null } : {}), ...(big ? { near: "step" } : {}) });
  }

  /** @param {string} key */
  #unfold(key) {
    return this.#still(key, [...this.stage.state.open, key]);
  }

  /** Fold a block, and with it those inside. @param {string} key */
  #fold(key) {
    const inside = this.#plan().cards.flatMap(({ within }) => within.slice(within.findIndex((each) => each.key === key)).map((each) => each.key).filter(() => within.some((each) => each.key === key)));
    return this.#still(key, this.stage.state.open.filter((each) => each !== key && !inside.includes(each)));
  }

  /** Unfold other blocks; the place that was pressed stays where it is. @param {string} key @param {string[]} open */
  async #still(key, open) {
    const place = () => { const card = this.#plan().cards.find((each) => each.key === key || each.within.some((outer) => outer.key === key)); return this.el.querySelector(`[data-key="${CSS.escape(card?.key ?? "")}"]`); };
    const before = place()?.getBoundingClientRect().left ?? 0;
    await this.stage.go({ open });
    const after = /** @type {HTMLElement | null} */ (place());
    this.el.scrollLeft += (after?.getBoundingClientRect().left ?? 0) - before;
    after?.focus({ preventScroll: true });
  }

  /** Bring the chosen card into sight where another one has been chosen and it is out of sight. @param {string} stood @param {HTMLElement | undefined} li */
  #stand(stood, li) {
    if (!li || stood === this.#stood) return;
    this.#stood = stood;
    const { el } = this, low = li.offsetLeft - 8, high = li.offsetLeft + li.offsetWidth + 8;
    if (low < el.scrollLeft || high > el.scrollLeft + el.clientWidth) el.scrollLeft = (low + high - el.clientWidth) / 2;
    if (el.contains(document.activeElement) && document.activeElement?.matches(".card")) /** @type {HTMLElement | null} */ (li.querySelector(".card"))?.focus({ preventScroll: true });
  }

  /** A plain wheel moves the strip sideways, as far as there is more. @param {WheelEvent} event */
  #wheel(event) {
    const { el } = this, before = el.scrollLeft;
    if (event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY) || el.scrollHeight > el.clientHeight) return;
    el.scrollLeft += event.deltaY * (event.deltaMode ? 16 : 1);
    if (el.scrollLeft !== before) event.preventDefault();
  }

  /** Keys on a card: + and − unfold and fold, arrows step where they do not move a window. @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLElement} */ (event.target), card = this.#plan().cards.find(({ key }) => key === target.dataset.key), { near } = this.stage.state;
    if (!card || event.ctrlKey || event.metaKey || event.altKey) return;
    const outer = card.within.filter(({ key }) => this.stage.state.open.includes(key)).at(-1), by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (near === "network" && event.key === "+" && card.folded) this.#unfold(card.key);
    else if (near === "network" && event.key === "-" && outer) this.#fold(outer.key);
    else if (by && (near === "window" || near === "number")) {
      const all = [...this.el.querySelectorAll(".card")].map((each) => /** @type {HTMLElement} */ (each));
      all[Math.max(0, Math.min(all.length - 1, all.indexOf(target) + by))].focus();
    } else return;
    event.preventDefault();
  }
}

/** A plan with a card for the call that failed, after all others. @param {Plan} laid @param {import("./net.js").Net} net @returns {Plan} */
function failing(laid, { told: { fault } }) {
  if (!fault) return laid;
  const given = fault.operands.map(({ value }) => laid.homes.get(value)).filter((key) => laid.cards.some((each) => each.key === key)), from = given[0] ?? laid.cards.at(-1)?.key ?? "";
  const lane = laid.cards.find(({ key }) => key === from)?.lane ?? 0, rank = 1 + Math.max(-1, ...laid.cards.map((each) => each.rank));
  const failed = { ...laid.cards[0], key: "fault", kind: /** @type {const} */ ("fault"), value: -1, steps: /** @type {[number, number]} */ ([0, 0]), label: fault.label || fault.op || "error", folded: false, count: 1, within: [], rank, lane };
  return { ...laid, cards: [...laid.cards, failed], links: [...laid.links, { from, to: "fault", skip: false, through: [] }], ranks: rank + 1 };
}

/** A cost in words. @param {string} cost @param {number} n */
const said = (cost, n) => (cost === "time" ? `${short(1000 * n)} ms` : `${count(n)} ${cost}`);

/** @param {number} left @param {number} top @param {number} width @param {number} [height] */
const box = (left, top, width, height) => `left:${left}px;top:${top}px;width:${width}px${height === undefined ? "" : `;height:${height}px`}`;

/** The size of a map in its place: whole where it can be, never thinner than a quarter. @param {Places} at @param {number} rows @param {number} columns @returns {[number, number]} */
function fit({ size, tall }, rows, columns) {
  const scale = rows > 1 ? Math.min(size / columns, tall / rows) : 0;
  return scale ? [Math.max(size / 4, scale * columns), Math.max(tall / 4, scale * rows)] : [size, tall];
}

/** @param {Places} at @param {View} view @param {number} above pixels to the map above */
function placed(at, { rows, columns }, above) {
  const [wide, high] = fit(at, rows, columns), [side, rest] = [(at.size - wide) / 2, (at.tall - high) / 2];
  return `width:${wide}px;height:${high}px;margin:${above + rest}px ${side}px ${rest}px`;
}

/** Let a name be as wide as the cards are apart. @param {Places} at */
const caption = ({ size, step }) => `width:${Math.max(size, step - 8)}px;margin-left:${Math.min(0, (size + 8 - step) / 2)}px`;

/** Return the frame of a field as a style; "" where it is the whole map, or another frame of a clip. @param {Spot} spot @param {Field} field */
function frameOf({ map, frames, rows, size: [wide, high], columns }, { box, whole }) {
  const across = box.at(-1), down = rows > 1 && box.length > 1 ? box.at(-2) : undefined, time = box.length > 2 ? box[0] : undefined;
  if (whole || !across || (time && (map % frames < time[0] || map % frames >= time[1]))) return "";
  const along = (/** @type {[number, number]} */ [low, end], /** @type {number} */ of, /** @type {number} */ size) => {
    const length = Math.max(5, ((end - low) * size) / of);
    return [Math.max(0, Math.min(size - length, ((low + end) * size) / of / 2 - length / 2)), length];
  };
  const [left, width] = along(across, columns, wide), [top, height] = down ? along(down, rows, high) : [0, high];
  return `transform:translate(${left}px,${top}px);width:${width}px;height:${height}px`;
}
