/**
 * Compares torchvision's networks with PyTorch at full size: the logits from .pth and .onnx files,
 * and the gradients of one training step.
 *
 *     deno task torchvision [--no-training] [names…]
 *
 * The weights are random. It needs PyTorch 1.13 and torchvision 0.14; PYTHON selects the Python.
 *
 * @module
 */

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
} from "../../mod.ts";
import { networkNames } from "../../src/models/registry.ts";

/** Versions of ONNX's operators. */
const opsets = [11, 13, 17];
/** The classes of the images in the training step. */
const targets = [1, 10, 100, 999];
/** The largest differences: of logits to the largest one, of gradients to the largest of their tensor. */
const limits = { logits: 1e-4, gradients: 1e-3 };

const python = Deno.env.get("PYTHON") ?? "/usr/bin/python3";

/** Runs a Python script, and returns whether it succeeded. */
async function runPython(...args: string[]): Promise<boolean> {
  try {
    const command = new Deno.Command(python, { args, stdout: "null", stderr: "piped" });
    const { success, stderr } = await command.output();
    if (!success) console.error(new TextDecoder().decode(stderr).trim().split("\n").at(-1));
    return success;
  } catch {
    return false;
  }
}

async function readFloats(path: string): Promise<Float32Array<ArrayBuffer>> {
  return new Float32Array((await Deno.readFile(path)).buffer);
}

/** The largest difference, as a fraction of the largest expected value. */
function difference(actual: Float32Array, expected: Float32Array): number {
  let worst = 0, largest = 0;
  for (const [i, value] of expected.entries()) {
    worst = Math.max(worst, Math.abs(actual[i] - value));
    largest = Math.max(largest, Math.abs(value));
  }
  return Number.isNaN(actual[0]) ? NaN : worst / largest;
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
    return mark(difference(await y.read(), await readFloats(`${folder}/logits.f32`)), "logits");
  } catch (error) {
    return `✗ ${String(error).replace(`${folder}/`, "").slice(0, 80)}`;
  }
}

/** The largest difference of a gradient in one training step. */
async function compareGradients(
  backend: Backend,
  folder: string,
  name: NetworkName,
  x: Tensor,
): Promise<string> {
  using model = createModel(name, { dropout: 0 });
  await loadWeights(model, backend, `${folder}/weights.pth`);
  model.train();
  for (const [, layer] of model.leaves()) if (layer.type === "StochasticDepth") layer.eval();
  using y = model.forward(x);
  const { loss, gradient } = crossEntropy(y, targets);
  using _loss = loss, _gradient = gradient;
  model.backwardParameters(gradient);
  using file = await openWeights(await fileSource(`${folder}/gradients.pth`));
  let worst = 0, where = "";
  for (const [key, { grad, shape }] of model.stateDict()) {
    if (!grad) continue;
    const expected = new Float32Array(shape.reduce((a, b) => a * b, 1));
    await file.read(key, (values, offset) => expected.set(values, offset));
    const value = difference(await grad.read(), expected);
    if (!(value <= worst)) [worst, where] = [value, key];
  }
  return `${mark(worst, "gradients")} ${where}`;
}

function mark(value: number, kind: keyof typeof limits): string {
  return `${value <= limits[kind] ? "" : "✗ "}${value.toExponential(1)}`;
}

/** Compares one network, and prints a row of the table. Returns whether it agrees. */
async function compare(name: NetworkName, trains: boolean): Promise<boolean> {
  const folder = await Deno.makeTempDir({ prefix: `torchvision-${name}-` });
  try {
    const script = new URL("make_network.py", import.meta.url).pathname;
    const side = createModel(name).preprocessing.crop;
    const args = [script, name, `${side}`, folder, ...opsets.map(String)];
    if (!await runPython(...args)) return false;
    using backend = await createBackend({ device: "wasm" });
    using x = backend.upload(await readFloats(`${folder}/images.f32`), [4, 3, side, side]);
    const cells: string[] = [name];
    for (const file of ["weights.pth", ...opsets.map((opset) => `opset${opset}.onnx`)]) {
      cells.push(await compareLogits(backend, folder, file, x));
    }
    if (trains) cells.push(await compareGradients(backend, folder, name, x));
    console.log(`| ${cells.join(" | ")} |`);
    return !cells.some((cell) => cell.includes("✗"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  const trains = !Deno.args.includes("--no-training");
  const names = Deno.args.filter((arg) => !arg.startsWith("--"));
  const all = networkNames.filter((name) => name !== "alexnet-tiny");
  const selected = names.length > 0 ? all.filter((name) => names.includes(name)) : all;
  if (!await runPython("-c", "import torch, torchvision, onnx")) {
    console.log(`skipped: ${python} has no torch, torchvision and onnx`);
    Deno.exit();
  }
  console.log(`| network | .pth | ${opsets.map((n) => `opset ${n}`).join(" | ")} | gradients |`);
  let agrees = true;
  for (const name of selected) agrees = await compare(name, trains) && agrees;
  if (!agrees) Deno.exit(1);
}
