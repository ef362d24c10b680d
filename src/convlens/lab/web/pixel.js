// The scores of every class at one pixel, the best first: the largest was chosen.

import { html, nothing, render } from "./vendor/lit-html.js";
import { largest } from "./colours.js";
import { short } from "./numbers.js";

const LISTED = 8;

export class PixelScores {
  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.el = document.createElement("section");
    this.el.className = "ps";
    this.el.setAttribute("aria-label", "The scores at this pixel");
  }

  /** Row and column of the open pixel among the segments, which may be fewer or more than the picture's pixels. */
  get place() {
    const { segments, picture } = this.stage.net.told;
    const [size, whole] = [segments?.size ?? [1, 1], picture ?? [1, 1]];
    return (this.stage.state.index ?? [0, 0]).slice(-2).map((at, axis) => Math.min(size[axis] - 1, Math.floor(((at + 0.5) * size[axis]) / whole[axis])));
  }

  /** Open another pixel. @param {number[]} place */
  pick(place) {
    const { segments, picture } = this.stage.net.told;
    const [size, whole] = [segments?.size ?? [1, 1], picture ?? [1, 1]];
    return this.stage.go({ index: [...(this.stage.state.index ?? []).slice(0, -2), ...place.map((at, axis) => Math.floor(((at + 0.5) * whole[axis]) / size[axis]))] });
  }

  /** @param {() => boolean} current */
  async draw(current) {
    const [row, column] = this.place;
    const { scores, sentence, value } = await this.stage.questions.once("pixel", { row, column });
    if (!current()) return;
    const most = largest(scores.map((each) => each.score)) || 1;
    const open = (/** @type {number[]} */ index) => this.stage.go({ at: this.stage.net.value(value).name, index, near: "window", trail: [] });
    render(html`<p class="ps-say">${sentence}</p>${scores.slice(0, LISTED).map((each) => html`<button type="button" class="ps-line" data-label=${each.label} title="Open this number" @click=${() => open(each.index)}>
        <i class="pv-swatch" .style=${`color:rgb(${each.colour})`}></i><span>${each.name}</span><span class="ps-track"><i class=${each.score < 0 ? "negative" : "positive"}
        .style=${`${each.score < 0 ? "right" : "left"}:50%;width:${(50 * Math.abs(each.score)) / most}%`}></i></span><span class="n">${short(each.score)}</span></button>`)}
      ${scores.length > LISTED ? html`<p class="soft">${scores.length - LISTED} other classes score less.</p>` : nothing}`, this.el);
  }
}
