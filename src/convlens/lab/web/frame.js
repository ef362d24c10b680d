// The frame of the stage: its seats for everything that the parts draw.

import { html, nothing, render } from "./vendor/lit-html.js";
import { percent, shapeText } from "./numbers.js";
import { DISTANCES } from "./state.js";

/**
 * @typedef {import("./stage.js").Stage} Stage
 * @typedef {"menus" | "answer" | "find" | "acts" | "bar" | "band" | "compared" | "alert" | "busy" | "tour" | "strip" | "sentence" | "body" | "inspector" | "main" | "columns" | "dialog"} Part
 */

/** Fill the stage's element with its frame. @param {Stage} stage @param {HTMLElement} el */
export function frame(stage, el) {
  render(html`<header><h1>convlens</h1><div class="menus"></div><span class="push"></span><div class="answer"></div><div class="find"></div>
      <button type="button" class="undo" hidden @click=${() => stage.undo()}></button>
      <button type="button" class="icon help" aria-label="A tour and the keys" title="A tour and the keys  ?" @click=${() => stage.tour()}>?</button></header>
    <section class="band" aria-label="About the weights" hidden></section><section class="compared" aria-label="The comparison" hidden></section><div class="alert" role="alert" hidden></div>
    <section class="bar" aria-label="Place, direction, distance"><nav class="crumbs" aria-label="Where you are"></nav><span class="push"></span><div class="acts"></div><div class="distances"></div></section>
    <nav class="strip" aria-label="The network, from picture to answer"></nav>
    <div class="columns"><main><p class="sentence" aria-live="polite"></p><div class="body"></div></main><aside class="inspector" aria-label="About this number"></aside></div>
    <section class="tour" aria-label="A tour" hidden></section><div class="busy" role="status"></div><dialog class="dialog"></dialog>`, el);
}

/** @template {string} T @param {string} label @param {readonly (readonly [T, string])[]} choices @param {T} chosen @param {(choice: T) => void} choose */
export function segments(label, choices, chosen, choose) {
  const key = (/** @type {KeyboardEvent} */ event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const at = choices.findIndex(([choice]) => choice === chosen);
    choose(choices[(at + by + choices.length) % choices.length][0]);
    /** @type {HTMLElement} */ (event.currentTarget).querySelector(/** @type {any} */ ("[aria-checked=true]"))?.focus();
  };
  return html`<div class="segments" role="radiogroup" aria-label=${label} @keydown=${key}>${choices.map(([choice, text]) => html`<button type="button" role="radio"
    data-choice=${choice} tabindex=${choice === chosen ? 0 : -1} aria-checked=${choice === chosen} @click=${() => choose(choice)}>${text}</button>`)}</div>`;
}

/** Draw what stands above the stage: place, direction, distance, answer, undo. @param {Stage} stage */
export function drawBar(stage) {
  const { state, net } = stage;
  const near = DISTANCES.indexOf(state.near);
  render(segments("Distance", DISTANCES.map((d) => /** @type {const} */ ([d, d[0].toUpperCase() + d.slice(1)])), state.near, (d) => stage.go({ near: d })), stage.at("distances"));
  const value = stage.value;
  const windowed = Boolean(net.maker(value?.id ?? -1)?.windows.length);
  const window = state.near === "window" && Boolean(net.maker(value?.id ?? -1));
  render(html`${window ? html`<div class="player"><button type="button" class="icon" aria-label="One place back" title="One place back  ," @click=${() => stage.bench.next(-1)}>‹</button>
      <button type="button" class="icon play" aria-label=${stage.bench.playing ? "Pause" : "Play"} title="Play  space" @click=${() => stage.bench.play()}>${stage.bench.playing ? "❙❙" : "▶\uFE0E"}</button>
      <button type="button" class="icon" aria-label="One place on" title="One place on  ." @click=${() => stage.bench.next(1)}>›</button></div>` : nothing}
    ${(window && windowed) || state.near === "number" ? segments("Direction", [["made", "made of"], ["feeds", "feeds"]], state.way, (way) => stage.go({ way: /** @type {"made" | "feeds"} */ (way), from: null })) : nothing}`, stage.at("acts"));
  render(html`${crumbs(stage, near).map(([text, go, here], i) => html`${i ? html`<span class="soft" aria-hidden="true">›</span>` : nothing}
    <button type="button" class="crumb" aria-current=${here ? "location" : nothing} @click=${go}>${text}</button>`)}${came(stage)}`, stage.at("crumbs"));
  render(answer(stage), stage.at("answer"));
  const count = state.set.length + state.mute.length + state.arg.length;
  const undo = /** @type {HTMLButtonElement} */ (stage.at("undo"));
  undo.hidden = !count;
  undo.textContent = count > 1 ? `Undo ${count} changes` : "Undo";
}

/** @param {Stage} stage @param {number} near @returns {[string, () => void, boolean][]} */
function crumbs(stage, near) {
  const { net, state, value } = stage;
  /** @type {[string, () => void, boolean][]} */
  const list = [[net.told.name, () => stage.go({ near: "network" }), near === 0]];
  const { fault } = net.told;
  if (!value && fault && near) list.push([`${fault.label || fault.op || "step"} failed`, () => stage.go({ near: "window" }), true]);
  if (!value || near < 1) return list;
  list.push([net.title(value.id), () => stage.go({ near: "step" }), near === 1]);
  if (near < 2 || !state.index) return list;
  const space = net.spatial(value.id);
  const map = value.shape.length > space && value.shape.length > 2 ? net.map(value.id, state.index[state.index.length - space - 1]) : "";
  if (map) list.push([map, () => stage.go({ near: "window" }), near === 2]);
  const spot = net.spot(value.id, state.index);
  list.push([map ? spot.replace(`${map}, `, "") : spot, () => stage.go({ near: "number" }), near === 3]);
  return list;
}

/** The numbers that led here, each of which leads back. @param {Stage} stage */
function came({ net, state, go }) {
  if (state.near !== "number" || !state.trail.length) return nothing;
  return html`<span class="came soft">came from ${state.trail.map((stop, i) => {
    const value = net.named(stop.at);
    return value ? html`${i ? " › " : ""}<button type="button" class="crumb" @click=${() => go({ ...stop, trail: state.trail.slice(0, i) })}>${net.title(value.id)} ${stop.index.slice(1).join(", ")}</button>` : nothing;
  })}</span>`;
}

/** The network's answer in a word, which leads to its number. @param {Stage} stage */
function answer(stage) {
  const { told } = stage.net;
  const [best] = told.scores;
  if (told.detections || told.segments) return found(stage, told);
  if (!best || told.output === null) return nothing;
  const label = told.random ? `class ${best.index.at(-1)}` : best.label;
  const output = stage.net.value(told.output);
  return html`<button type="button" title="Go to the answer" @click=${() => stage.go({ at: output.name, index: best.index, near: "window" })}><span class="soft wide">answer </span><b>${label}</b>
    ${best.share === null ? best.text : percent(best.share)}${stage.changes.was(label)}</button>`;
}

/** What a detector found, or the class of most pixels, which leads to the picture. @param {Stage} stage @param {import("./answers.js").NetworkAnswer} told */
function found(stage, { detections, segments }) {
  const best = detections?.best[0];
  const [most] = segments?.classes ?? [];
  const more = (detections?.count ?? 1) - 1;
  const said = best ? html`<b>${best.label}</b> ${best.text}${more ? html`<span class="soft wide"> and ${more} more</span>` : nothing}` : most ? html`<b>${most.name}</b> ${percent(most.share)}` : "nothing found";
  return html`<button type="button" title="Go to the picture" @click=${() => stage.go(stage.doorway())}><span class="soft wide">answer </span>${said}</button>`;
}

/** @param {Stage} stage */
export function title(stage) {
  const { told } = stage.net;
  document.title = told.name ? `${told.name}: convlens` : "convlens";
  const band = stage.at("band");
  band.hidden = !told.random;
  band.textContent = told.random ? "Random weights: the arithmetic is real, the answer means nothing." : "";
}

/** Return a shape and a name, as a card has them. @param {Stage} stage @param {number} id */
export const caption = (stage, id) => `${stage.net.title(id)}, ${shapeText(stage.net.value(id).shape)}`;
