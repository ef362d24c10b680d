// A drawing, a painted picture or a photograph from the camera, as a file for the network.

import { html, nothing, render } from "./vendor/lit-html.js";

const SIDE = 320; // pixels of the canvas
const BRUSHES = [["white", "#ffffff"], ["black", "#000000"], ["grey", "#808080"], ["red", "#d02020"]];

/** Let the reader draw, or paint on a picture, or take one. @param {HTMLDialogElement} dialog @param {boolean} films @param {ImageBitmap | null} given @param {(file: File) => void} done */
export function draw(dialog, films, given, done) {
  const canvas = document.createElement("canvas"), video = document.createElement("video"), pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const { width, height } = given ?? { width: SIDE, height: SIDE }, scale = SIDE / Math.max(width, height);
  const [title, name] = films ? ["Take a picture", "camera.png"] : given ? ["Paint on the picture", "painted.png"] : ["Draw a picture", "drawing.png"];
  let [, brush] = BRUSHES[0];
  [canvas.width, canvas.height] = [width, height].map((side) => Math.round(side * scale));
  canvas.ariaLabel = "Draw here with the pointer";
  dialog.ariaLabel = title;

  const clear = () => {
    pen.fillRect(0, 0, canvas.width, canvas.height); // in black
    pen.imageSmoothingEnabled = false;
    if (given) pen.drawImage(given, 0, 0, canvas.width, canvas.height);
  };
  const use = () => {
    if (films && !video.videoWidth) return;
    if (films) {
      [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
      pen.drawImage(video, 0, 0);
    }
    canvas.toBlob((blob) => { if (blob) done(new File([blob], name, { type: "image/png" })); }, "image/png");
    dialog.close();
  };
  const show = (said = "") => render(html`<h2>${title}</h2>${films ? video : canvas}
    ${films ? nothing : html`<div class="brushes" role="group" aria-label="Brush">${BRUSHES.map(([label, colour]) => html`<button aria-label=${label} aria-pressed=${colour === brush}
      .style=${`background:${colour}`} @click=${() => { brush = colour; show(); }}></button>`)}</div>`}
    <p class="said soft" role="status">${said}</p>
    <div class="choices"><button @click=${() => dialog.close()}>Cancel</button>
      ${films ? nothing : html`<button @click=${clear}>Clear</button>`}<button class="strong" @click=${use}>Use it</button></div>`, dialog);

  paints(canvas, (from, to) => {
    Object.assign(pen, { strokeStyle: brush, lineWidth: SIDE / 12, lineCap: "round" });
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
  });
  clear();
  show();
  dialog.showModal();
  if (films) film(video, dialog).catch(({ message }) => show(`The camera cannot be used (${message}); allow it in the browser, or open a file.`));
}

/** Follow the pointer from place to place while it is down. @param {HTMLCanvasElement} canvas @param {(from: [number, number], to: [number, number]) => void} line */
function paints(canvas, line) {
  /** @type {[number, number] | null} */
  let from = null;
  const to = (/** @type {PointerEvent} */ { offsetX, offsetY }) => {
    line(from ?? [offsetX, offsetY], [offsetX, offsetY]);
    from = [offsetX, offsetY];
  };
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); from = null; to(event); });
  canvas.addEventListener("pointermove", (event) => { if (event.buttons) to(event); });
}

/** Show the camera, until the dialog is closed. @param {HTMLVideoElement} video @param {HTMLDialogElement} dialog */
async function film(video, dialog) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: true }), stop = () => stream.getTracks().forEach((track) => track.stop());
  if (!dialog.open) return stop();
  dialog.addEventListener("close", stop, { once: true });
  video.srcObject = stream;
  await video.play();
}
