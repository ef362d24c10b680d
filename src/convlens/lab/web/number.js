// The single number: what it is made of on the left, what it feeds on the right; every line opens again.

export class NumberView {
  el = document.createElement("section");

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
  }

  /** @param {() => boolean} _current */
  async draw(_current) {}

  /** Open the strongest term. */
  into() {}
}
