// A network that failed: the failing call, what it was given, and the sizes that led there.

import { html, nothing, render } from "./vendor/lit-html.js";
import { shapeText, volume } from "./numbers.js";
import { Part } from "./part.js";

/** Return the name by which the address reaches the failing call. @param {FaultRow} fault */
export const faultName = ({ step }) => `@${step}`;

export class Failure extends Part {
  async draw() {
    const { stage, net } = this, fault = /** @type {FaultRow} */ (net.told.fault), { operands, chain, source } = fault;
    const size = (/** @type {FaultRow["operands"][0] | FaultRow["chain"][0]} */ { value, shape }, name = "", more = /** @type {Shown} */ ("")) => html`<button class=${name}
      @click=${() => stage.go({ at: net.value(value).name, near: "step" })}><b>${net.title(value)}</b> <span>${shapeText(shape)}</span>${more}</button>`;
    const sign = (/** @type {string} */ text) => html`<span class="sign" aria-hidden="true">${text}</span>`;
    stage.laid = null;
    stage.say(fault.sentence);
    render(html`<div class="operands">${operands.map((operand, i) => html`${i ? sign(i === 1 ? "×" : "+") : nothing}${size(operand, "operand", factors(operand.shape, chain))}`)}
        ${sign("=")}<span class="operand none">no output</span></div>
      ${chain.length ? html`<h2>The sizes that led here</h2><ol class="chain">${chain.map((each) => html`<li>${size(each)}</li>`)}<li class="broken"><b>${fault.label || fault.op || "the network"}</b> <span>stopped</span></li></ol>` : nothing}
      <p class="soft">${source ? html`<code>${source.text}</code> ${source.file}:${source.line}. ` : nothing}${fault.message}</p>`, this.el);
  }
}

/** Where a row was laid out of maps: "100352 = 32 × 56 × 56". @param {number[]} shape @param {FaultRow["chain"]} chain @returns {Shown} */
function factors(shape, chain) {
  const length = shape.at(-1) ?? 0, maps = chain.findLast((size) => size.shape.length > 2 && volume(size.shape.slice(1)) === length);
  return maps && shape.length <= 2 ? html`<span class="soft">${length} = ${maps.shape.slice(1).join(" × ")}</span>` : nothing;
}
