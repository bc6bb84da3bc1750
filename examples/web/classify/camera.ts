/** The camera, with a live picture and a shutter button. */

/// <reference lib="dom" />

import type { Pixels } from "./protocol.ts";

/** Options of {@linkcode openCamera}. */
export interface CameraOptions {
  /** The text of the shutter button. Default: "Take photo". Empty for none. */
  readonly shutter?: string;
  /** Whether the shutter goes on taking photos while it is held. */
  readonly hold?: boolean;
  /** Closes the camera, also while the browser still asks the reader. */
  readonly signal?: AbortSignal;
  /** Called once, when the camera is closed or cannot be used. Says whether the focus was in it, or nowhere. */
  readonly onClose?: (hadFocus: boolean) => void;
}

/** An open camera. */
export interface Camera {
  /** The picture that the camera sees now. Undefined until there is one. */
  capture(): Pixels | undefined;
  /** Stops the camera, and removes it from the page. */
  close(): void;
}

const noCamera = "There is no camera: connect one, or choose a file.";

/** Why the camera cannot be used, and what to do, by the name of the browser's error. */
const problems: Readonly<Record<string, string>> = {
  NotAllowedError: "The camera is blocked: allow it in the browser's settings for this page.",
  NotFoundError: noCamera,
  OverconstrainedError: noCamera, // Safari's name for it: the page demands nothing of a camera
  NotReadableError: "Another program uses the camera: close it, and try again.",
  hidden: "The browser hides the picture from the page: let it read canvas data, or choose a file.",
  insecure: "The browser gives the camera only to pages over HTTPS: choose a file.",
};

/** Closes the camera that is open, or that the browser asks for. */
let closeOther = () => {};
document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape") closeOther();
});

/**
 * Shows the camera in an element: the live picture, a shutter button, and a button that closes it. If
 * there is no camera, shows a message instead. Closes a camera that is open elsewhere in the page: phones
 * have only one at a time.
 *
 * @param onPhoto Called with each photo.
 * @returns Undefined if the camera cannot be used, or was closed before the browser gave it.
 */
export async function openCamera(
  container: HTMLElement,
  onPhoto: (photo: Pixels) => void,
  { shutter = "Take photo", hold = false, signal, onClose = () => {} }: CameraOptions = {},
): Promise<Camera | undefined> {
  const box = document.createElement("div");
  box.className = "camera";
  const message = document.createElement("p");
  message.setAttribute("role", "status");
  message.textContent = "Asking for the camera …";
  box.append(message);
  container.append(box);
  let stream: MediaStream | undefined, isOpen = true;
  const end = (removed?: HTMLElement) => {
    isOpen = false;
    signal?.removeEventListener("abort", close);
    const { activeElement, body } = document;
    const hadFocus = activeElement === body || box.contains(activeElement);
    removed?.remove();
    onClose(hadFocus);
  };
  const close = () => {
    if (!isOpen) return;
    if (stream) stop(stream);
    end(box);
  };
  closeOther();
  closeOther = close;
  signal?.addEventListener("abort", close, { once: true });
  box.scrollIntoView({ block: "nearest" }); // closing the other one may have moved the focus
  try {
    const { mediaDevices } = navigator as { readonly mediaDevices?: MediaDevices };
    if (!mediaDevices) throw new DOMException("", "insecure");
    if (hidesPixels()) throw new DOMException("", "hidden");
    stream = await mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    if (!isOpen) return undefined;
    const { name, message: reason } = error as Error;
    message.className = "problem";
    message.setAttribute("role", "alert");
    message.textContent = problems[name] ?? `The camera cannot be used: ${reason || name}.`;
    end();
    return undefined;
  }
  if (!isOpen) {
    stop(stream);
    return undefined;
  }

  const video = document.createElement("video");
  video.muted = video.playsInline = video.autoplay = true;
  video.setAttribute("aria-label", "What the camera sees");
  video.srcObject = stream;
  const capture = () => frameOf(video);
  const takePhoto = () => {
    const photo = capture();
    if (photo) onPhoto(photo);
  };
  const closing = button("Close camera", close),
    take = button(shutter, hold ? () => {} : takePhoto);
  if (hold) whileHeld(take, takePhoto);
  take.classList.add("primary", "shutter");
  const buttons = document.createElement("div");
  buttons.className = "camera-buttons";
  buttons.append(...shutter ? [take] : [], closing);
  box.replaceChildren(video, buttons);
  (shutter ? take : closing).focus();
  return { capture, close };
}

function stop(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

/** Milliseconds between the photos of a shutter that is held. */
const holdInterval = 200;

/** Acts again and again while a button is held, by a pointer or a key; a short press acts once. */
function whileHeld(button: HTMLButtonElement, act: () => void): void {
  let timer: ReturnType<typeof setInterval> | undefined;
  const stop = () => clearInterval(timer);
  const start = () => {
    stop();
    act();
    timer = setInterval(() => button.isConnected ? act() : stop(), holdInterval);
  };
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId); // so that a pointer that slips off does not stop it
    start();
  });
  for (const type of ["pointerup", "pointercancel", "keyup", "blur"]) {
    button.addEventListener(type, stop);
  }
  button.addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault(); // of the click
    if (!event.repeat) start();
  });
  button.addEventListener("click", ({ detail }) => {
    if (detail === 0) act(); // of a screen reader, without a pointer
  });
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // of a long touch
}

function button(text: string, onClick: () => void): HTMLButtonElement {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.addEventListener("click", onClick);
  return button;
}

/** Whether Firefox gives the page random pixels, even of an empty canvas, against fingerprinting. */
function hidesPixels(): boolean {
  const context = document.createElement("canvas").getContext("2d")!;
  return context.getImageData(0, 0, 2, 2).data.some((value) => value > 9);
}

/** The pixels of the video's frame. */
function frameOf(video: HTMLVideoElement): Pixels | undefined {
  const { videoWidth: width, videoHeight: height } = video;
  if (width === 0) return undefined;
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.drawImage(video, 0, 0);
  return { width, height, data: context.getImageData(0, 0, width, height).data };
}
