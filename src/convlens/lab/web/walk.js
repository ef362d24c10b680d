// A detection's way back as a list of stations: what it is made of, and where it was chosen.

import { html, nothing } from "./vendor/lit-html.js";

/** @typedef {import("./answers.js").WalkAnswer} Walk */

/**
 * @param {Walk | null} walk null until it arrives
 * @param {number | null} selected the station opened
 * @param {string} failure why there is no walk; empty where there is one
 * @param {{ station: (k: number) => void, point: (k: number | null) => void }} actions
 */
export function stations(walk, selected, failure, actions) {
  if (failure) return html`<p class="soft sentence">${failure}</p>`;
  if (!walk) return html`<p class="soft">walking back…</p>`;
  return html`<ol class="walk" aria-label="Its way back to the pixels">
    ${walk.stations.map((station, k) => html`<li class=${station.link === "chosen" ? "chosen" : "made"}>
      <button type="button" class="stop station ${k === selected ? "on" : ""}" data-station=${k}
          aria-current=${k === selected ? "step" : nothing} title=${station.text}
          @click=${() => actions.station(k)}
          @pointermove=${() => actions.point(k)} @pointerleave=${() => actions.point(null)}>
        <span class="name">${station.name}</span>${station.link === "chosen" ? html` <em>chosen</em>` : nothing}
        ${k === selected ? html`<span class="text">${station.text}</span>` : nothing}
      </button></li>`)}
  </ol>`;
}
