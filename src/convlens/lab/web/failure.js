// A network that failed: the failing call, what it was given, and the sizes that led there.

import { html, nothing, render } from "./vendor/lit-html.js";
import { shapeText } from "./numbers.js";

/**
 * @typedef {import("./answers.js").FaultRow} FaultRow
 * @typedef {import("./answers.js").SizeRow} SizeRow
 */

/** Return the name by which the address reaches the failing call. @param {FaultRow} fault */
export const faultName = (fault) => `@${fault.step}`;

export class Failure {
  el = document.createElement("section");

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.el.className = "failure";
    this.el.setAttribute("aria-label", "Where the network failed");
  }

  /** @param {FaultRow} fault */
  draw(fault) {
    const { stage, el } = this;
    const { net } = stage;
    stage.say(fault.sentence);
    const open = (/** @type {number} */ id) => stage.go({ at: net.value(id).name, near: "step" });
    const [first, ...others] = fault.operands;
    render(html`<div class="operands">${[first, ...others].filter(Boolean).map((operand, i) => html`${i ? html`<span class="sign" aria-hidden="true">${i === 1 ? "×" : "+"}</span>` : nothing}
        <button type="button" class="operand" @click=${() => open(operand.value)}><b>${net.title(operand.value)}</b><span>${shapeText(operand.shape)}</span>${factors(operand.shape, fault.chain)}</button>`)}
        <span class="sign" aria-hidden="true">=</span><span class="operand none">no output</span></div>
      ${fault.chain.length ? html`<h2>The sizes that led here</h2><ol class="chain">${fault.chain.map((size) => html`<li><button type="button" @click=${() => open(size.value)}>
        <b>${net.title(size.value)}</b> <span>${shapeText(size.shape)}</span></button></li>`)}<li class="broken"><b>${fault.label || fault.op || "the network"}</b> <span>stopped</span></li></ol>` : nothing}
      <p class="soft">${fault.source ? html`<code>${fault.source.text}</code> ${fault.source.file}:${fault.source.line}. ` : nothing}${fault.message}</p>`, el);
  }
}

/** Where a row was laid out of maps: "100352 = 32 × 56 × 56". @param {number[]} shape @param {SizeRow[]} chain */
function factors(shape, chain) {
  const length = shape.at(-1) ?? 0;
  const maps = chain.findLast((size) => size.shape.length > 2 && size.shape.slice(1).reduce((a, b) => a * b, 1) === length);
  return maps && shape.length <= 2 ? html`<span class="soft">${length} = ${maps.shape.slice(1).join(" × ")}</span>` : nothing;
}
