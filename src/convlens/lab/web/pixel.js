// The scores of every class at one pixel, the best first: the largest was chosen.

import { html, nothing, render } from "./vendor/lit-html.js";
import { largest } from "./colours.js";
import { short } from "./numbers.js";
import { Part } from "./part.js";

const LISTED = 8;

export class PixelScores extends Part {
  /** The same place among rows and columns that are more or fewer. @param {number[]} place @param {number[]} from @param {number[]} to */
  #scaled(place, from, to) {
    return place.map((at, axis) => Math.min(to[axis] - 1, Math.floor(((at + 0.5) * to[axis]) / from[axis])));
  }

  /** Row and column of the open pixel among the segments, which may be fewer or more than the picture's pixels. */
  get place() {
    const { segments, picture } = this.net.told;
    return this.#scaled((this.stage.state.index ?? [0, 0]).slice(-2), picture ?? [1, 1], segments?.size ?? [1, 1]);
  }

  /** Open another pixel. @param {number[]} place */
  pick(place) {
    const { segments, picture } = this.net.told;
    return this.stage.go({ index: [...(this.stage.state.index ?? []).slice(0, -2), ...this.#scaled(place, segments?.size ?? [1, 1], picture ?? [1, 1])] });
  }

  /** @param {() => boolean} current */
  async draw(current) {
    const { stage, net } = this, [row, column] = this.place, { scores, sentence, value } = await stage.questions.once("pixel", { row, column });
    if (!current()) return;
    const most = largest(scores.map(({ score }) => score)) || 1;
    render(html`<p class="ps-say">${sentence}</p>${scores.slice(0, LISTED).map(({ name, score, colour, index }) => html`<button class="pv-line ps-line" title="Open this number"
        @click=${() => stage.go({ at: net.value(value).name, index, near: "window", trail: [] })}><i class="pv-swatch" .style=${`color:rgb(${colour})`}></i><span>${name}</span>
        <span class="ps-track"><i class=${score < 0 ? "negative" : "positive"} .style=${`${score < 0 ? "right" : "left"}:50%;width:${(50 * Math.abs(score)) / most}%`}></i></span><span class="n">${short(score)}</span></button>`)}
      ${scores.length > LISTED ? html`<p class="soft">${scores.length - LISTED} other classes score less.</p>` : nothing}`, this.el);
  }
}
