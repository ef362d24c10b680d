// A drawing, a painted picture or a photograph from the camera, as a file for the network.

import { html, nothing, render } from "./vendor/lit-html.js";

const SIDE = 320; // pixels of the canvas
const BRUSHES = [["white", "#ffffff"], ["black", "#000000"], ["grey", "#808080"], ["red", "#d02020"]];

export class Drawing {
  /** @type {MediaStream | null} */ #stream = null;
  #colour = BRUSHES[0][1];

  /**
   * @param {HTMLDialogElement} dialog @param {"draw" | "paint" | "camera"} kind
   * @param {ImageBitmap | null} given the picture to paint on @param {(file: File) => void} done
   */
  constructor(dialog, kind, given, done) {
    this.dialog = dialog;
    this.done = done;
    this.canvas = document.createElement("canvas");
    const tall = given && given.height > given.width;
    this.canvas.width = given ? (tall ? Math.round((SIDE * given.width) / given.height) : SIDE) : SIDE;
    this.canvas.height = given && !tall ? Math.round((SIDE * given.height) / given.width) : SIDE;
    this.canvas.setAttribute("aria-label", "Draw here with the pointer");
    this.pen = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.video = document.createElement("video");
    this.given = given;
    this.kind = kind;
    this.#clear();
    this.#listen();
    dialog.addEventListener("close", () => this.#stop(), { once: true });
    this.#draw();
    dialog.showModal();
    if (kind === "camera") this.#film();
  }

  #draw() {
    const { kind } = this;
    const title = { draw: "Draw a picture", paint: "Paint on the picture", camera: "Take a picture" }[kind];
    render(html`<h2 id="drawing">${title}</h2>${kind === "camera" ? this.video : this.canvas}
      ${kind === "camera" ? nothing : html`<div class="brushes" role="group" aria-label="Brush">${BRUSHES.map(([name, colour]) => html`<button type="button" aria-label=${name} aria-pressed=${colour === this.#colour}
        .style=${`background:${colour}`} @click=${() => { this.#colour = colour; this.#draw(); }}></button>`)}</div>`}
      <p class="said soft" role="status"></p>
      <div class="choices"><button type="button" @click=${() => this.dialog.close()}>Cancel</button>
        ${kind === "camera" ? nothing : html`<button type="button" @click=${() => this.#clear()}>Clear</button>`}
        <button type="button" class="strong" @click=${() => this.#use()}>Use it</button></div>`, this.dialog);
    this.dialog.setAttribute("aria-labelledby", "drawing");
  }

  #clear() {
    this.pen.fillStyle = "#000";
    this.pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.given) return;
    this.pen.imageSmoothingEnabled = false;
    this.pen.drawImage(this.given, 0, 0, this.canvas.width, this.canvas.height);
  }

  #listen() {
    /** @type {[number, number] | null} */
    let from = null;
    const to = (/** @type {PointerEvent} */ event) => {
      const at = /** @type {[number, number]} */ ([event.offsetX, event.offsetY]);
      this.pen.strokeStyle = this.#colour;
      this.pen.lineWidth = SIDE / 12;
      this.pen.lineCap = "round";
      this.pen.beginPath();
      this.pen.moveTo(...(from ?? at));
      this.pen.lineTo(...at);
      this.pen.stroke();
      from = at;
    };
    this.canvas.addEventListener("pointerdown", (event) => { this.canvas.setPointerCapture(event.pointerId); from = null; to(event); });
    this.canvas.addEventListener("pointermove", (event) => { if (event.buttons) to(event); });
  }

  async #film() {
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ video: true });
      this.video.srcObject = this.#stream;
      await this.video.play();
    } catch (error) {
      const said = this.dialog.querySelector(".said");
      if (said) said.textContent = `The camera cannot be used (${/** @type {Error} */ (error).message}); allow it in the browser, or open a file.`;
    }
  }

  #stop() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
  }

  #use() {
    if (this.kind === "camera") {
      if (!this.video.videoWidth) return;
      [this.canvas.width, this.canvas.height] = [this.video.videoWidth, this.video.videoHeight];
      this.pen.drawImage(this.video, 0, 0);
    }
    this.canvas.toBlob((blob) => {
      if (blob) this.done(new File([blob], { draw: "drawing.png", paint: "painted.png", camera: "camera.png" }[this.kind], { type: "image/png" }));
    }, "image/png");
    this.dialog.close();
  }
}
