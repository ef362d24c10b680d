// A step with all its maps: what comes in beside the kernels of one map, and what goes out.

export class SheetView {
  el = document.createElement("section");

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
  }

  /** @param {() => boolean} _current */
  async draw(_current) {}
}
