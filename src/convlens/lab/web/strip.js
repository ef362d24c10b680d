// The network as a strip of live thumbnails, from the picture to the answer.

import { html, render } from "./vendor/lit-html.js";

export class Strip {
  /** What stands below the strip at the distance of the network. */
  below = document.createElement("div");

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.el = stage.at("strip");
  }

  /** A network has been recorded. */
  load() {}

  /** The numbers have changed, the network has not. */
  changed() {}

  /** The values in the order of their cards. @returns {number[]} */
  order() {
    const { net } = this.stage;
    return [...net.told.inputs, ...net.steps.filter((step) => !step.plumbing).flatMap((step) => step.outputs.slice(0, 1))];
  }

  draw() {
    const { net, state } = this.stage;
    render(html`<div class="inner">${this.order().map((id) => html`<button type="button" class="card" aria-current=${net.value(id).name === state.at ? "step" : "false"}
      @click=${() => this.stage.go({ at: net.value(id).name })}>${net.title(id)}</button>`)}</div>`, this.el);
  }

  /** Frame what the number is made of, and what it reaches. */
  follow() {}
}
