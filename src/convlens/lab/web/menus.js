// What the reader may choose: the network, the picture, a step by its name.

import { html, render } from "./vendor/lit-html.js";

export class Menus {
  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
  }

  draw() {
    const { told } = this.stage.net;
    render(html`<b>${told.name}</b> <span class="soft">on ${told.picture_name}</span>`, this.stage.at("menus"));
  }

  find() {}

  tour() {}
}
