// One card of the strip: a thumbnail with its name; at the distance of the network its liveliest maps, its kind, and what it costs.

import { html, nothing } from "./vendor/lit-html.js";
import { faultName } from "./failure.js";
import { count, percent, plural, short } from "./numbers.js";

/**
 * @typedef {import("./answers.js").StepRow} StepRow
 * @typedef {import("./layout.js").Card} Card
 * @typedef {import("./places.js").Places} Places
 * @typedef {import("./stage.js").Stage} Stage
 * @typedef {{ id: number, map: number, rows: number, columns: number, maps: number, frames: number, known: boolean, more: number[] }} View
 *   what a card shows: one map of a value, and `more` of its maps
 * @typedef {{ stage: Stage, thumbs: import("./thumbs.js").Thumbs, at: Places, home: string, cost: string, most: number, touched: Set<number>, open: (card: Card, view: View, event: Event) => void, unfold: (key: string) => void }} Shown
 *   `home`: the card of the open value; `most`: the largest cost of a card; `touched`: the values that the reader's changes have reached
 */

const FEW = 12; // numbers that are all written as named bars

/** What a step costs, by the name of the cost. @type {Record<string, (step: StepRow, net: import("./net.js").Net) => number>} */
export const COSTS = {
  "multiply–adds": ({ multiply_adds }) => multiply_adds,
  weights: ({ weights }) => weights,
  numbers: ({ outputs }, net) => outputs.reduce((sum, id) => sum + net.value(id).shape.reduce((a, b) => a * b, 1), 0),
  time: ({ seconds }) => seconds,
};

/** A cost in words. @param {string} cost @param {number} n */
export const said = (cost, n) => (cost === "time" ? `${short(1000 * n)} ms` : `${count(n)} ${cost}`);

/** Add up what the steps of a card cost. @param {Stage} stage @param {Card} card @param {string} cost */
export const sum = ({ net }, { steps: [first, end] }, cost) => net.steps.slice(first, end).reduce((all, step) => all + COSTS[cost](step, net), 0);

/** @param {number} left @param {number} top @param {number} width @param {number} [height] */
export const box = (left, top, width, height) => `left:${left}px;top:${top}px;width:${width}px${height === undefined ? "" : `;height:${height}px`}`;

/** The size of a map in its place: whole where it can be, never thinner than a quarter. @param {Places} at @param {number} rows @param {number} columns @returns {[number, number]} */
export function fit({ size, tall }, rows, columns) {
  const scale = rows > 1 ? Math.min(size / columns, tall / rows) : 0;
  return scale ? [Math.max(size / 4, scale * columns), Math.max(tall / 4, scale * rows)] : [size, tall];
}

/** @param {Places} at @param {View} view @param {number} above pixels to the map above */
function placed(at, { rows, columns }, above) {
  const [wide, high] = fit(at, rows, columns), [side, rest] = [(at.size - wide) / 2, (at.tall - high) / 2];
  return `width:${wide}px;height:${high}px;margin:${above + rest}px ${side}px ${rest}px`;
}

/** As wide as the cards are apart. @param {Places} at */
const caption = ({ size, step }) => `width:${Math.max(size, step - 8)}px;margin-left:${Math.min(0, (size + 8 - step) / 2)}px`;

/** A card's name, as many of its path's last parts as there is room for: "layer3.1.conv2" may be "conv2", and "layer3.1" "l3.1". @param {Shown} shown @param {Card} card */
function name({ stage: { net, state }, at }, { kind, value, label, within }) {
  const big = state.near === "network", room = Math.floor((at.step - 8) / (big ? 8 : 6.5));
  if (kind === "input") return net.title(value);
  const around = within.filter(({ key }) => big && at.open.has(key)).at(-1)?.label, [first, last] = (kind === "step" ? net.title(value) : label).split(" – ");
  const run = kind === "repeat" && last ? `–${last.split(".").at(-1)}` : "", inner = around && first.startsWith(`${around}.`) ? first.slice(around.length + 1) : first;
  const ends = inner.split(".").map((_, i, parts) => parts.slice(i).join(".")).filter((end, i) => !i || !/^\d/.test(end)), fitting = ends.find((end) => (end + run).length <= room);
  if (fitting) return fitting + run;
  const [, letters, digits, rest] = /^([^.\d]*)([^.]*)(.*)$/.exec(ends[ends.length - 1]) ?? [];
  return (rest ? letters.slice(0, Math.max(1, room - (digits + rest + run).length)) : letters) + digits + rest + run;
}

/** @param {Shown} shown @param {Card} card @param {View} view */
export function drawn(shown, card, view) {
  const { stage, thumbs, at, cost } = shown, { net } = stage, { key, value, kind, count, steps } = card, big = stage.state.near === "network", input = kind === "input", place = box(at.x(card), at.y(card), at.size);
  const written = input ? (net.isPicture(value) ? net.told.picture_name : "input") : `${card.title}${count > 1 ? ` ×${count}` : ""}`, shape = net.shape(value), chosen = key === shown.home;
  const whole = [input ? net.title(value) : card.label, written, shape].filter(Boolean).join(", "), cell = (/** @type {number} */ map) => thumbs.canvas(view.id, map), spent = sum(stage, card, cost);
  return html`<li class="${card.folded ? "folded" : ""} ${every(net, card).some((id) => shown.touched.has(id)) ? "changed" : ""}" .style=${place}>
    <button type="button" class="card" data-key=${key} aria-current=${chosen ? "step" : nothing} tabindex=${chosen ? 0 : -1} title=${whole} aria-label=${big ? nothing : whole} @click=${(/** @type {Event} */ event) => shown.open(card, view, event)}>
      <span class="thumb" .style=${placed(at, view, 0)}>${view.known ? cell(view.map) : nothing}<i class="frame" hidden></i></span>
      ${big ? below(shown, view, cell) : nothing}
      ${at.named ? html`<span class="name" .style=${caption(at)}>${name(shown, card)}</span>` : nothing}
      ${big ? html`<span class="soft" .style=${caption(at)}>${written}</span><span class="soft" .style=${caption(at)}>${shape}</span>
        <span class="cost" title=${said(cost, spent)}><i .style=${`width:${spent ? Math.max(2, (100 * spent) / shown.most) : 0}%`}></i></span>` : nothing}
      ${apart(stage, card)}</button>
    ${big && card.folded ? html`<button type="button" class="unfold" tabindex="-1" .style=${caption(at)} aria-label="Unfold ${card.label}" @click=${() => shown.unfold(key)}>+ ${kind === "repeat" ? plural(count, "block") : plural(steps[1] - steps[0], "step")}</button>` : nothing}</li>`;
}

/** The call that failed. @param {Shown} shown @param {Card} card @param {import("./answers.js").FaultRow} fault */
export const failed = ({ stage: { go, value }, at }, card, fault) => html`<li class="failed" .style=${box(at.x(card), at.y(card), at.size)}>
  <button type="button" class="card" data-key="fault" aria-current=${value ? nothing : "step"} title=${fault.sentence} aria-label="${card.label} failed: ${fault.sentence}" @click=${() => go({ at: faultName(fault), near: "window" })}>
    <span class="thumb" .style=${`height:${at.tall}px`}></span><span class="name" .style=${caption(at)}>${card.label}</span></button></li>`;

/** What stands beneath the first map: others, or named bars. @param {Shown} shown @param {View} view @param {(map: number) => HTMLCanvasElement} cell */
function below({ stage, thumbs, at }, view, cell) {
  const { stack, tall } = at, deep = (stack - 1) * (tall + 6), many = view.columns > FEW, named = stack > 1 ? bars(stage, thumbs, view.id) : [];
  const left = named.length || !view.more.length ? 0 : view.maps / view.frames - Math.min(stack, 1 + view.more.length);
  return html`${named.length ? html`<span class="bars ${many ? "many" : ""} ${named.some(([, , text]) => text) ? "told" : ""}" aria-hidden="true" .style=${`height:${deep}px;${many ? caption(at) : ""}`}>${named.slice(0, Math.floor(deep / (many ? 32 : 18))).map(([what, part, text]) => html`<span>
      <b title=${what}>${what}</b><span><i class=${part < 0 ? "negative" : "positive"} .style=${`width:${100 * Math.abs(part)}%`}></i></span><em>${text}</em></span>`)}</span>`
    : html`<span class="stack" .style=${`height:${deep}px`}>${view.more.slice(0, stack - 1).map((map) => html`<span class="thumb" data-map=${map} .style=${placed(at, view, 6)}>${cell(map)}</span>`)}</span>`}
    <span class="rest soft" aria-hidden="true">${left ? `+${left}` : ""}</span>`;
}

/** The classes of a value with their parts of the largest, all of a few or the best of many. @param {Stage} stage @param {import("./thumbs.js").Thumbs} thumbs @param {number} id @returns {[string, number, string][]} */
function bars({ net }, thumbs, id) {
  const { told } = net, plane = thumbs.plane(id), best = id === told.output ? told.scores : [];
  if (!plane || plane.rows * plane.maps > 1 || net.category(id, 0) === null) return [];
  const most = Math.max(Math.abs(plane.low), Math.abs(plane.high)) || 1, share = best[0]?.share, sure = share === null || share === undefined ? "" : percent(share), first = best[0]?.index.at(-1);
  const row = (/** @type {number} */ i, /** @type {number} */ x) => /** @type {[string, number, string]} */ ([net.category(id, i) ?? "", x / most, i === first ? sure : ""]);
  return plane.columns > FEW ? best.map(({ index, score }) => row(index.at(-1) ?? 0, score)) : thumbs.numbers(id, 0, plane).list.map((x, i) => row(i, x));
}

/** A bar for the largest difference from what is compared, on a scale of powers of ten. @param {Stage} stage @param {Card} card */
function apart({ compare, net }, card) {
  if (!compare.found) return nothing;
  const rows = every(net, card).map((id) => compare.row(id)).filter((row) => row !== null), largest = Math.max(0, ...rows.map((row) => row.largest));
  const most = Math.max(...compare.found.rows.map((row) => row.largest)), share = largest > 0 ? Math.max(4, 100 + 12.5 * Math.log10(largest / most)) : 0;
  return html`<span class="apart ${rows.some(({ first }) => first) ? "first" : ""}" title=${largest ? `largest difference ${short(largest)}` : "equal"}><i .style=${`width:${share}%`}></i></span>`;
}

/** The values that a card stands for. @param {import("./net.js").Net} net @param {Card} card @returns {number[]} */
const every = (net, { kind, value, steps: [first, end] }) => (kind === "input" ? [value] : net.steps.slice(first, end).flatMap(({ outputs }) => outputs));

/** A plan with a card for the call that failed, after all others. @param {import("./layout.js").Plan} laid @param {import("./answers.js").FaultRow | null} fault */
export function failing(laid, fault) {
  if (!fault) return laid;
  const { cards, homes } = laid, before = cards.filter(({ key }) => fault.operands.some(({ value }) => homes.get(value) === key)).at(-1) ?? cards[cards.length - 1];
  /** @type {Card} */
  const card = { ...before, key: "fault", kind: "fault", value: -1, steps: [0, 0], label: fault.label || fault.op || "error", folded: false, count: 1, within: [], rank: laid.ranks };
  return { ...laid, cards: [...cards, card], links: [...laid.links, { from: before.key, to: "fault", skip: false, through: [] }], ranks: laid.ranks + 1 };
}
