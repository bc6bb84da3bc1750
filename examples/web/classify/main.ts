/** The page that classifies photos: what the reader does, and what the worker answers. */

/// <reference lib="dom" />

import { sentence, showBars } from "./bars.ts";
import type { Camera } from "./camera.ts";
import { CallError, Client } from "./client.ts";
import { DeviceTiles } from "./devices.ts";
import { byId, loadStyle, press, say, tell } from "./elements.ts";
import { acceptDrops, bufferOf, filesOf, onlyFirst, photoOf } from "./files.ts";
import { problemText } from "./format.ts";
import { networkIn, NetworkList, storedNetworks } from "./networks.ts";
import { hasServiceWorker, storeFilesOf } from "./offline.ts";
import type { Device, Method, NetworkSource, PageCalls, Score } from "./page_calls.ts";
import type { Photo } from "./protocol.ts";
import { describePhoto, explainHeat, hideHeat, setOpacity, showHeat, showPhoto } from "./stage.ts";
import type { TeachCalls } from "./teach_protocol.ts";
import { anyOf, isReplaced, Turn, unlessAborted } from "./turn.ts";

const imageWayOut = "Choose another image.";
const networkWayOut = "Choose the .onnx, .safetensors or .pth file of a network for images.";

const main = document.querySelector("main")!, teach = byId("teach");
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const client = new Client<PageCalls>(worker, ({ message }) => showProblem(message));
storeFilesOf(worker);

/** What the reader chose. */
let source: NetworkSource = storedNetworks[0];
let device: Device = crossOriginIsolated && navigator.hardwareConcurrency > 1 ? "threads" : "wasm";
let method: Method | "none" = "grad-cam";
let chosen: Score | undefined;

let camera: Camera | undefined;

/** What the worker has. */
let hasPhoto = false, hasNetwork = false;

/** What the worker loads. */
let wanted: { readonly source: NetworkSource; readonly device: Device } | undefined;

/** Newer work replaces older work of the same kind. */
const photoTurn = new Turn(), networkTurn = new Turn(), lookTurn = new Turn();
const heatTurn = new Turn(), timeTurn = new Turn();

const tiles = new DeviceTiles((next) => choose(wanted?.source ?? source, next));
const networks = new NetworkList((next) => choose(next, wanted?.device ?? device));

function showProblem(text: string, isNote = false): void {
  tell(byId("problem"), text, isNote);
  byId("problem").scrollIntoView({ block: "nearest" }); // on a phone, the reader may be below it
}

/** Runs work, and shows what goes wrong in it. What newer work has replaced ends silently. */
async function attempt(work: () => Promise<void>, wayOut = ""): Promise<void> {
  main.setAttribute("aria-busy", "true");
  busy++;
  try {
    await work();
  } catch (error) {
    if (isReplaced(error)) return;
    showProblem(problemText(error, wayOut));
    const isLost = error instanceof CallError && error.kind === "DeviceLostError";
    if (isLost && device === "webgpu") loseGpu(error.message);
  } finally {
    if (--busy === 0) main.setAttribute("aria-busy", "false");
  }
}
let busy = 0;

/** Goes on without the graphics processor. */
async function loseGpu(reason: string): Promise<void> {
  await useNetwork(source, "wasm");
  if (device === "wasm") showProblem(`${reason}. The page now computes on Wasm.`);
}

/** Shows a photo, and what the network makes of it. If it is none, the one before stays in use. */
function usePhoto(photo: Photo | Promise<Photo>, sample?: Element): Promise<void> {
  const signal = photoTurn.next(); // closes the camera, too
  return attempt(async () => {
    showProblem("");
    const taken = await photo;
    signal.throwIfAborted();
    const { picture } = await client.call("photo", taken, { signal, transfer: [bufferOf(taken)] });
    lookTurn.cancel();
    showPhoto(picture);
    press(samples, sample);
    hasPhoto = true;
    await look();
  }, imageWayOut);
}

/** Once there are a photo and a network: finds its classes, a heat map, and the time that it takes. */
async function look(): Promise<void> {
  const isStuck = hasPhoto && !hasNetwork && byId("loading").hidden;
  if (isStuck && byId("problem").hidden) showProblem("Choose a network.");
  if (!hasPhoto || !hasNetwork) return;
  const signal = lookTurn.next();
  const scores = await client.call("classify", undefined, { signal });
  showBars(scores, (score) =>
    attempt(async () => {
      await showWhere(score);
      say(`Where it found ${score.label}.`);
    }));
  describePhoto(scores[0].label);
  if (!("ready" in main.dataset)) performance.mark("first result");
  main.dataset.ready = "";
  say(sentence(scores));
  await showWhere(scores[0]);
  signal.throwIfAborted();
  await measure([device]);
}

/** Shows where in the photo the network found a class. */
async function showWhere(score: Score): Promise<void> {
  const signal = anyOf(heatTurn.next(), lookTurn.signal);
  chosen = score;
  explainHeat(method, score.label);
  if (method === "none") return hideHeat();
  const { index } = score;
  const { picture, region } = await client.call("explain", { index, method }, { signal });
  showHeat(picture, region);
}

/** Measures devices one after the other. */
async function measure(devices: readonly Device[]): Promise<void> {
  const turn = timeTurn.next(), signal = anyOf(turn, lookTurn.signal);
  try {
    for (const each of devices) {
      tiles.begin(each);
      tiles.show(each, await client.call("time", each, { signal }));
    }
  } finally {
    if (!turn.aborted) tiles.showKnown();
  }
}

/** Loads a network on a device, unless that goes on. What is in use only ends the loading of another. */
function choose(next: NetworkSource, on: Device): void {
  if (next === wanted?.source && on === wanted.device) return;
  if (hasNetwork && next === source && on === device) networkTurn.cancel();
  else useNetwork(next, on);
}

/** Loads a network on a device. If that fails, the one before stays in use. */
function useNetwork(next: NetworkSource, on: Device): Promise<void> {
  const signal = networkTurn.next();
  return attempt(async () => {
    showProblem("");
    const isOther = next !== source;
    await load(next, on, signal).catch((error) => {
      if (hasNetwork || on !== "threads" || isReplaced(error)) throw error;
      return load(next, "wasm", signal); // threads may lack what they need, such as their kernels offline
    });
    if (isOther) tiles.clear();
    await look();
  }, typeof next.weights === "string" ? "Choose the network again." : networkWayOut);
}

async function load(next: NetworkSource, on: Device, signal: AbortSignal): Promise<void> {
  const progress = byId<HTMLProgressElement>("progress");
  progress.removeAttribute("value");
  byId("loading").hidden = false;
  wanted = { source: next, device: on };
  try {
    const onReport = (share: number) => progress.value = share;
    const facts = await client.call("network", { source: next, device: on }, { signal, onReport });
    source = next;
    device = on;
    hasNetwork = true;
    networks.press(next);
    tiles.press(on);
    const { type, classes, backend, threads } = facts;
    byId("network-facts").textContent = `${type}, ${classes.length} classes, on ${backend}` +
      (threads > 1 ? `, ${threads} threads` : "");
    teach.dispatchEvent(new CustomEvent("network", { detail: { ...facts, source: next } }));
  } finally {
    if (signal === networkTurn.signal) {
      wanted = undefined;
      const hasFocus = document.activeElement === byId("cancel");
      byId("loading").hidden = true;
      if (!hasNetwork) networks.press(); // so that the reader can choose it again
      const used = document.querySelector<HTMLElement>("#networks [aria-pressed=true]");
      if (hasFocus) (used ?? byId("network-file")).focus();
    }
  }
}

/** The network that the reader has taught last, and the one before it. */
let taught: NetworkSource | undefined, untaught = source;

/** Puts a network to use that the reader has taught, or the one before it. */
async function useTaught(next: NetworkSource | null): Promise<void> {
  if (!next) return await useNetwork(untaught, device);
  const before = taught;
  if (source !== before) untaught = source;
  taught = next;
  await useNetwork(next, device);
  if (before && source !== before) networks.remove(before);
}

async function toggleCamera(): Promise<void> {
  if (camera) return camera.close();
  const button = byId("camera-button"), frame = byId("frame"), { signal } = photoTurn;
  if (frame.classList.contains("filming")) return; // the browser still asks the reader
  showProblem("");
  frame.classList.add("filming");
  byId("camera").replaceChildren();
  const onClose = (hadFocus = false) => {
    camera = undefined;
    frame.classList.remove("filming");
    if (hadFocus) button.focus();
  };
  try {
    const { openCamera } = await import("./camera.ts");
    signal.throwIfAborted();
    const opened = await openCamera(byId("camera"), usePhoto, { signal, onClose });
    if (opened) camera = opened; // or else another one may be open now
  } catch (error) { // a photo came first, or the code cannot be loaded
    onClose();
    if (!isReplaced(error)) showProblem(problemText(error, ""));
  }
}

const samples = document.querySelectorAll<HTMLElement>("[data-sample]");

/** Uses a sample of the page. */
function useSample(button: HTMLElement): Promise<void> {
  const url = new URL(button.dataset.sample!, import.meta.url);
  return usePhoto(
    fetch(url).then(async (response) => {
      if (!response.ok) throw new Error(`The sample cannot be loaded: status ${response.status}.`);
      const name = url.pathname.replace(/.*\//, "");
      return { name, bytes: new Uint8Array(await response.arrayBuffer()) };
    }),
    button,
  );
}

/** Uses files that the reader picked, dropped or pasted: a network or a photo. */
function useFiles(files: readonly File[]): void {
  if (files.length === 0) return;
  if (files.some(({ name }) => /\.(onnx|safetensors|pth|pt|bin|net|index\.json)$/i.test(name))) {
    useNetwork(networkIn(files, source), device);
    return;
  }
  usePhoto(photoOf(files[0]));
  showProblem(onlyFirst(files), true);
  byId("frame").scrollIntoView({ block: "nearest" }); // the reader may be below it
}

/** Uses the files of a folder that the reader dropped. A photo that comes before they are found is newer. */
function useFolder(files: Promise<File[]>): void {
  const signal = photoTurn.next();
  attempt(async () => {
    showProblem("");
    useFiles(await unlessAborted(files, signal));
  });
}

/** Connects what the reader can use. */
function connect(): void {
  for (const button of samples) button.addEventListener("click", () => useSample(button));
  byId("camera-button").addEventListener("click", toggleCamera);
  byId("cancel").addEventListener("click", () => networkTurn.cancel());
  byId("compare").addEventListener("click", () => attempt(() => measure(tiles.enabled())));
  for (const id of ["file", "network-file"]) {
    const input = byId<HTMLInputElement>(id);
    input.addEventListener("change", () => {
      const files = Array.from(input.files ?? []);
      input.value = ""; // so that choosing the same file again is a change
      if (id === "file") useFiles(files);
      else if (files.length > 0) useNetwork(networkIn(files, source), device);
    });
  }
  teach.addEventListener("use", (event) => useTaught((event as CustomEvent).detail));
  // the body may be narrower than the window
  acceptDrops(document.documentElement, (files) => {
    if (files.length > 0) useFiles(files);
    else showProblem("Only files can be dropped: save the picture first.");
  }, useFolder);
  document.addEventListener("paste", (event) => {
    const files = filesOf(event.clipboardData);
    if (files.length > 0) event.preventDefault();
    useFiles(files);
  });
  document.querySelector(".heat-controls")!.addEventListener("change", ({ target }) => {
    const { name, value } = target as HTMLInputElement;
    if (name !== "method") return;
    method = value as typeof method;
    if (chosen) attempt(() => showWhere(chosen!));
  });
  const opacity = byId<HTMLInputElement>("opacity");
  opacity.addEventListener("input", () => setOpacity(Number(opacity.value) / 100));
  setOpacity(Number(opacity.value) / 100);
}

connect();
document.getElementById("starting")?.remove(); // gone if a script of the host failed
const [early] = Array.from(byId<HTMLInputElement>("file").files ?? []); // chosen while scripts loaded
await Promise.all([
  useNetwork(source, device),
  early ? usePhoto(photoOf(early)) : useSample(samples[0]),
]);
// what would delay the first result
await loadStyle("teach.css");
hasServiceWorker().then((has) => client.call("devices", has))
  .then((limits) => tiles.limit(limits)).catch(() => {});
client.call("loadForLater", undefined).catch(() => {}); // the next visit tries again
Promise.all([import("./camera.ts"), import("./folders.ts")]).catch(() => {}); // stores them, too
try {
  const { startTeach } = await import("./teach.ts");
  startTeach(teach, new Client<TeachCalls>(worker), source);
} catch {
  teach.textContent = "“Teach it” cannot be loaded. Load the page again.";
}
