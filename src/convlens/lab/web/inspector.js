// What is known of the number that is open: where it lies, what it sees, why its map has this size, where it is written.

import { html, render } from "./vendor/lit-html.js";
import { short } from "./numbers.js";

export class Inspector {
  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.el = stage.at("inspector");
  }

  draw() {
    const { net, state, value, laid } = this.stage;
    if (!value || !state.index || !laid || state.near !== "window") return render(html``, this.el);
    render(html`<p class="large">${short(laid.recorded(this.stage.bench.place))}</p><p class="soft">${net.title(value.id)}, ${net.spot(value.id, state.index)}</p>`, this.el);
  }
}
