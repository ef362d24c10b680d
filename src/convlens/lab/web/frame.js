// The frame of the stage: its seats for everything that the parts draw.

import { html, nothing, render } from "./vendor/lit-html.js";
import { percent } from "./numbers.js";
import { DISTANCES } from "./state.js";

/** Fill the stage's element with its frame. @param {Stage} stage @param {HTMLElement} el */
export function frame(stage, el) {
  render(html`<header><h1>convlens</h1><div class="menus"></div><span class="push"></span><div class="answer"></div><div class="find"></div>
      <button class="icon more" aria-label="More menus" title="More menus" @click=${() => more(stage)}>⋯</button>
      <button class="undo" hidden @click=${() => stage.undo()}></button>
      <button class="icon help" aria-label="A tour and the keys" title="A tour and the keys  ?" @click=${() => stage.tour.begin()}>?</button></header>
    <section class="band" aria-label="About the weights" hidden></section><section class="compared" aria-label="The comparison" hidden></section><div class="alert" role="alert" hidden></div>
    <section class="bar" aria-label="Place, direction, distance"><nav class="crumbs" aria-label="Where you are"></nav><span class="push"></span><div class="acts"></div><div class="distances"></div></section>
    <nav class="strip" aria-label="The network, from picture to answer"></nav>
    <div class="columns"><main><p class="sentence" aria-live="polite"></p><div class="body"></div></main><aside class="inspector" aria-label="About this number"></aside></div>
    <section class="tour" aria-label="A tour" hidden></section><div class="busy" role="status"></div><dialog class="dialog"></dialog>`, el);
}

/** Show the menus for which a narrow header has no room, or hide them again. @param {Stage} stage @param {boolean} [shown] */
export function more(stage, shown) {
  stage.el.querySelector("header")?.toggleAttribute("data-more", shown);
}

/** A few choices, all of them seen. @template {string} T @param {string} label @param {readonly (readonly [T, string])[]} choices @param {T} chosen @param {(choice: T) => void} choose */
export function segments(label, choices, chosen, choose) {
  const key = (/** @type {KeyboardEvent} */ event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key], group = /** @type {HTMLElement} */ (event.currentTarget);
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    choose(choices[(choices.findIndex(([choice]) => choice === chosen) + by + choices.length) % choices.length][0]);
    /** @type {HTMLElement | null} */ (group.querySelector("[aria-checked=true]"))?.focus();
  };
  return html`<div class="segments" role="radiogroup" aria-label=${label} @keydown=${key}>${choices.map(([choice, text]) => html`<button role="radio"
    data-choice=${choice} tabindex=${choice === chosen ? 0 : -1} aria-checked=${choice === chosen} @click=${() => choose(choice)}>${text}</button>`)}</div>`;
}

/** A menu of choices: their values, texts and groups. @param {string} label @param {(readonly [value: string, text: string, group?: string])[]} choices @param {string} chosen @param {(choice: string) => unknown} choose @param {string} [name] its class */
export function menu(label, choices, chosen, choose, name = "") {
  const groups = [...new Set(choices.map(([, , group]) => group))].map((group) => {
    const options = choices.filter((choice) => choice[2] === group).map(([value, text]) => html`<option value=${value} .selected=${value === chosen}>${text}</option>`);
    return group ? html`<optgroup label=${group}>${options}</optgroup>` : options;
  });
  return html`<select class=${name} aria-label=${label} @change=${({ target }) => {
    const { value } = target;
    target.value = chosen; // until what was chosen is there
    choose(value);
  }}>${groups}</select>`;
}

/** A score's class, and its part of 1. @param {NetworkAnswer} told @param {NetworkAnswer["scores"][0]} score */
export const scored = ({ random }, { label, index, share, text }) => [random ? `class ${index.at(-1)}` : label, share === null ? text : percent(share)];

/** Draw what stands above the stage: place, direction, distance, answer, undo. @param {Stage} stage */
export function drawBar(stage) {
  const { state: { near, set, way }, net, value, bench, bench: { playing }, go } = stage, step = near === "window" && value ? net.maker(value.id) : undefined;
  const icon = (/** @type {string} */ text, /** @type {string} */ label, /** @type {string} */ key, /** @type {() => void} */ act, name = "") => html`<button class="icon ${name}" aria-label=${label} title="${label}  ${key}" @click=${act}>${text}</button>`;
  render(segments("Distance", DISTANCES.map((d) => /** @type {const} */ ([d, d[0].toUpperCase() + d.slice(1)])), near, (d) => go({ near: d })), stage.at("distances"));
  render(html`${step ? html`<div class="player">${icon("‹", "One place back", ",", () => bench.next(-1))}
      ${icon(playing ? "❙❙" : "▶\uFE0E", playing ? "Pause" : "Play", "space", () => bench.play(), "play")}
      ${icon("›", "One place on", ".", () => bench.next(1))}</div>` : nothing}
    ${step?.windows.length || near === "number" ? segments("Direction", [["made", "made of"], ["feeds", "feeds"]], way, (other) => go({ way: other, from: null })) : nothing}`, stage.at("acts"));
  render(html`${crumbs(stage).map(([text, to], i) => html`${i ? html`<span class="soft" aria-hidden="true">›</span>` : nothing}
    <button class="crumb" aria-current=${to === near || (i && !value) ? "location" : nothing} @click=${() => go({ near: to })}>${text}</button>`)}${came(stage)}`, stage.at("crumbs"));
  render(answer(stage), stage.at("answer"));
  const undo = stage.at("undo");
  undo.hidden = !set.length;
  undo.textContent = set.length > 1 ? `Undo ${set.length} changes` : "Undo";
}

/** Where the reader stands, and the distance of each part. @param {Stage} stage @returns {[string, Distance][]} */
function crumbs({ net, state: { near, index }, value }) {
  const { name, fault } = net.told, far = DISTANCES.indexOf(near);
  /** @type {[string, Distance][]} */
  const list = [[name, "network"]];
  if (!value) return fault && far ? [...list, [`${fault.label || fault.op || "step"} failed`, "window"]] : list;
  list.push([net.title(value.id), "step"]);
  if (index) {
    const before = value.shape.length - net.spatial(value.id), map = before > 0 && value.shape.length > 2 ? net.map(value.id, index[before - 1]) : "", spot = net.spot(value.id, index);
    if (map) list.push([map, "window"]);
    list.push([map ? spot.replace(`${map}, `, "") : spot, "number"]);
  }
  return list.slice(0, far < 2 ? far + 1 : undefined);
}

/** The numbers that led here, each of which leads back. @param {Stage} stage */
function came({ net, state: { near, trail }, go }) {
  if (near !== "number" || !trail.length) return nothing;
  return html`<span class="came soft">came from ${trail.map((stop, i) => {
    const value = net.named(stop.at);
    return value ? html`${i ? " › " : ""}<button class="crumb" @click=${() => go({ ...stop, trail: trail.slice(0, i) })}>${net.title(value.id)} ${stop.index.slice(1).join(", ")}</button>` : nothing;
  })}</span>`;
}

/** The network's answer in a word, which leads to its number; of a detector or a segmenter, to the picture. @param {Stage} stage */
function answer(stage) {
  const { told, told: { detections, segments: parts, output, scores: [score] } } = stage.net;
  const button = (/** @type {string} */ title, /** @type {Partial<State>} */ to, /** @type {unknown} */ said) => html`<button title=${title} @click=${() => stage.go(to)}><span class="soft wide">answer </span>${said}</button>`;
  if (detections || parts) {
    const best = detections?.best[0], most = parts?.classes[0], more = (detections?.count ?? 1) - 1;
    return button("Go to the picture", stage.doorway(), best ? html`<b>${best.label}</b> ${best.text}${more ? html`<span class="soft wide"> and ${more} more</span>` : nothing}` : most ? html`<b>${most.name}</b> ${percent(most.share)}` : "nothing found");
  }
  if (!score || output === null) return nothing;
  const [label, part] = scored(told, score);
  return button("Go to the answer", { at: stage.net.value(output).name, index: score.index, near: "window" }, html`<b>${label}</b> ${part}${stage.changes.was(label)}`);
}

/** @param {Stage} stage */
export function title(stage) {
  const { name, random } = stage.net.told, band = stage.at("band");
  if (!stage.embedded) document.title = name ? `${name}: convlens` : "convlens";
  band.hidden = !random;
  band.textContent = random ? "Random weights: the arithmetic is real, the answer means nothing." : "";
}
