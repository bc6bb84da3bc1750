/**
 * Compares torchvision's networks with PyTorch at full size: the logits from .pth and .onnx files,
 * and the gradients of one training step. Both are compared with those in float64; next to their
 * errors are those of PyTorch in float32.
 *
 *     deno task torchvision [--no-training] [names…]
 *
 * The weights are random. It needs PyTorch 1.13 and torchvision 0.14; PYTHON selects the Python.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import {
  type Backend,
  createBackend,
  createModel,
  crossEntropy,
  fileSource,
  loadModel,
  loadWeights,
  type NetworkName,
  openWeights,
  type Tensor,
  type WeightsFile,
} from "../../mod.ts";
import { networkNames } from "../../src/models/registry.ts";

/** Versions of ONNX's operators. */
const opsets = [11, 13, 17];
/** The classes of the images in the training step. */
const targets = [1, 10, 100, 999];
/**
 * The largest error of a logit, as a fraction of the largest one: so much, or so many times that of
 * PyTorch in float32. Some networks with random weights multiply rounding errors.
 */
const maxDifference = 1e-4, maxErrorRatio = 4;
/**
 * The largest median error of gradients. One ReLU that a rounding error switches causes 10⁻³ to
 * 10⁻² in all layers before it, in PyTorch's float32, too. A wrong formula causes 1.
 */
const maxError = 0.05;

const python = Deno.env.get("PYTHON") ?? "/usr/bin/python3";

/** Runs a Python script, and returns whether it succeeded. */
async function runPython(args: string[], stderr: "inherit" | "null" = "inherit"): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(python, { args, stdout: "null", stderr }).output();
    return success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function readFloats(path: string): Promise<Float32Array<ArrayBuffer>> {
  return new Float32Array((await Deno.readFile(path)).buffer);
}

/** The largest difference, as a fraction of the largest expected value; NaN if a value is NaN. */
function difference(actual: Float32Array, expected: Float32Array): number {
  let worst = 0, largest = 0;
  for (const [i, value] of expected.entries()) {
    worst = Math.max(worst, Math.abs(actual[i] - value));
    largest = Math.max(largest, Math.abs(value));
  }
  return worst / largest;
}

/** The difference of the logits from a file, or the reason why it did not load. */
async function compareLogits(
  backend: Backend,
  folder: string,
  file: string,
  x: Tensor,
): Promise<string> {
  try {
    using model = await loadModel({ backend, weights: `${folder}/${file}` });
    using y = model.forward(x);
    const value = difference(await y.read(), await readFloats(`${folder}/logits.f32`));
    const [error] = await readFloats(`${folder}/error.f32`);
    const agrees = value <= Math.max(maxDifference, maxErrorRatio * error);
    return `${agrees ? "" : "✗ "}${value.toExponential(1)}`;
  } catch (error) {
    return `✗ ${String(error).replace(`${folder}/`, "").slice(0, 80)}`;
  }
}

/** The median error of the gradients in one training step, and that of PyTorch in float32. */
async function compareGradients(
  backend: Backend,
  folder: string,
  name: NetworkName,
  x: Tensor,
): Promise<string> {
  using model = createModel(name, { dropout: 0, stochasticDepth: 0 });
  await loadWeights(model, backend, `${folder}/weights.pth`);
  model.train();
  using y = model.forward(x);
  using result = crossEntropy(y, targets);
  model.backwardParameters(result.gradient);
  using exact = await openWeights(await fileSource(`${folder}/gradients64.pth`));
  using rounded = await openWeights(await fileSource(`${folder}/gradients32.pth`));
  const ours: number[] = [], pytorch: number[] = [];
  for (const [key, { grad }] of model.stateDict()) {
    if (!grad) continue;
    const expected = await readTensor(exact, key, grad.size);
    ours.push(relativeError(await grad.read(), expected));
    pytorch.push(relativeError(await readTensor(rounded, key, grad.size), expected));
  }
  const agrees = median(ours) <= maxError;
  const [error, reference] = [ours, pytorch].map((list) => median(list).toExponential(1));
  return `${agrees ? "" : "✗ "}${error} (PyTorch ${reference})`;
}

async function readTensor(file: WeightsFile, name: string, size: number): Promise<Float32Array> {
  const values = new Float32Array(size);
  await file.read(name, (chunk, offset) => values.set(chunk, offset));
  return values;
}

/** The length of the difference of two vectors, as a fraction of the length of the second one. */
function relativeError(actual: Float32Array, expected: Float32Array): number {
  let error = 0, length = 0;
  for (const [i, value] of expected.entries()) {
    error += (actual[i] - value) ** 2;
    length += value ** 2;
  }
  return Math.sqrt(error / length);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

/** Compares one network, and prints a row of the table. Returns whether it agrees. */
async function compare(name: NetworkName, trains: boolean): Promise<boolean> {
  const folder = await Deno.makeTempDir({ prefix: `torchvision-${name}-` });
  try {
    const script = fileURLToPath(new URL("make_network.py", import.meta.url));
    const side = createModel(name).preprocessing.crop;
    const args = ["-W", "ignore", script, name, `${side}`, folder, ...opsets.map(String)];
    if (!await runPython(trains ? args : [...args, "--no-training"])) return false;
    using backend = await createBackend({ device: "wasm" });
    using x = backend.upload(await readFloats(`${folder}/images.f32`), [4, 3, side, side]);
    const cells: string[] = [name];
    for (const file of ["weights.pth", ...opsets.map((opset) => `opset${opset}.onnx`)]) {
      cells.push(await compareLogits(backend, folder, file, x));
    }
    cells.push((await readFloats(`${folder}/error.f32`))[0].toExponential(1));
    if (trains) cells.push(await compareGradients(backend, folder, name, x));
    console.log(`| ${cells.join(" | ")} |`);
    return !cells.some((cell) => cell.includes("✗"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  // torchvision has neither those of this library nor Caffe's
  const all = networkNames.filter((name) => !/-tiny$|^bvlc_/.test(name));
  const names = new Set(Deno.args);
  const trains = !names.delete("--no-training");
  const selected = names.size === 0 ? all : all.filter((name) => names.delete(name));
  const [unknown] = names;
  if (unknown !== undefined) {
    console.error(`unknown: ${unknown}; usage: deno task torchvision [--no-training] [names…]`);
    console.error(`names: ${all.join(" ")}`);
    Deno.exit(2);
  }
  if (!await runPython(["-c", "import torch, torchvision, onnx"], "null")) {
    console.log(`skipped: ${python} has no torch, torchvision and onnx`);
    Deno.exit();
  }
  const head = ["network", ".pth", ...opsets.map((opset) => `opset ${opset}`)];
  head.push("PyTorch in float32");
  if (trains) head.push("gradients");
  for (const cells of [head, head.map(() => "---")]) console.log(`| ${cells.join(" | ")} |`);
  let agrees = true;
  for (const name of selected) agrees = await compare(name, trains) && agrees;
  if (!agrees) Deno.exit(1);
}
