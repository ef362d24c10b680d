// What the parts of the page have in common.

/** A part draws into an element of the frame, or into a section of its own, which has a label. */
export class Part {
  /** @param {Stage} stage @param {string} name its class @param {string} [label] */
  constructor(stage, name, label) {
    this.stage = stage;
    this.el = label === undefined ? stage.at(name) : document.createElement("section");
    if (label === undefined) return;
    this.el.className = name;
    this.el.ariaLabel = label;
  }

  get net() {
    return this.stage.net;
  }

  /** Whether the stage is as narrow as a phone. */
  get narrow() {
    return this.stage.el.clientWidth < 800;
  }
}
