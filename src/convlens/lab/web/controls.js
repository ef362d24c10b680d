// What stands above the maps: the value's name, its axes to turn, the colour scale, the zoom.

import { html, nothing, render } from "./vendor/lit-html.js";
import { shapeText } from "./numbers.js";

/** @typedef {import("./state.js").State} State */

/** @type {["unit", "step", "network"]} */
export const SCALES = ["unit", "step", "network"];
const SCALE_WORDS = {
  unit: "Every map has its own colour scale",
  step: "One colour scale for all maps of this step",
  network: "One colour scale for the whole network",
};

/**
 * @param {HTMLElement} el
 * @param {import("./answers.js").ValueRow} value
 * @param {import("./axes.js").Axes | null} axes null where there are no maps to arrange
 * @param {State["scale"]} scale
 * @param {{ change: (change: Partial<State>) => void, zoom: (by: number) => void }} actions
 */
export function controls(el, value, axes, scale, actions) {
  const turning = axes?.controls();
  render(html`<h2 title="${value.shape.join(" × ")} ${value.dtype}"><span class="path">${value.name}</span>
      <small>${shapeText(value.shape)}${value.dtype === "float32" ? "" : ` ${value.dtype}`}</small></h2>
    ${turning?.first
      ? slider(turning.first, (at) => actions.change({ first: at })) : nothing}
    ${turning?.held.map((held) => slider(held, (at) => actions.change({ held: axes?.turned(held.axis, at) })))}
    ${turning?.choices.length ? html`<label class="side">side by side
      <select @change=${(/** @type {{ target: HTMLInputElement }} */ e) => actions.change({ side: Number(e.target.value) })}>
        ${turning.choices.map((c) => html`<option value=${c.axis} ?selected=${c.axis === turning.side}>${c.name}s</option>`)}
      </select></label>` : nothing}
    ${axes ? html`<div class="segments" role="radiogroup" aria-label="One colour scale for each">
        <span>scale</span>${SCALES.map((each) => html`<button type="button" role="radio" data-scale=${each}
          aria-checked=${each === scale} title=${SCALE_WORDS[each]}
          @click=${() => actions.change({ scale: each })}>${each}</button>`)}
      </div>
      <div class="zoom" role="group" aria-label="Zoom">
        <button type="button" aria-label="Smaller" title="Smaller (−)" @click=${() => actions.zoom(-1)}>−</button>
        <button type="button" aria-label="Fit" title="Fit (0)" @click=${() => actions.zoom(0)}>fit</button>
        <button type="button" aria-label="Larger" title="Larger (+)" @click=${() => actions.zoom(1)}>+</button>
      </div>` : nothing}`, el);
}

/** @param {{ name: string, at: number, size: number }} axis @param {(at: number) => void} turned */
function slider({ name, at, size }, turned) {
  return html`<label class="slider">${name} <output>${at}</output>
    <input type="range" min="0" max=${size - 1} aria-label=${name} .value=${String(at)}
      @input=${(/** @type {{ target: HTMLInputElement }} */ event) => turned(Number(event.target.value))}></label>`;
}
