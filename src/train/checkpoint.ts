/**
 * Saving and loading a training run as one safetensors file.
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import { asBytes } from "../kinds.ts";
import { checkObject } from "../options.ts";
import type { Parameter } from "../layers/parameter.ts";
import { forgetTrainedRanges } from "../models/input_ranges.ts";
import { RandomGenerator } from "../random.ts";
import { sameShape, type Tensor } from "../tensor.ts";
import { escapeText, formatShape } from "../weights/io/quote.ts";
import {
  bytesSource,
  checkWeights,
  openWeights,
  type WeightsFile,
  writeSafetensors,
} from "../weights/mod.ts";
import type { Optimizer, OptimizerSettings } from "./optimizer.ts";
import { Trainer, type TrainerState } from "./trainer.ts";
import { samplesPerEpoch } from "./trainer_options.ts";

const checkpointFormat = "pembroke checkpoint 1";

/** The position of a run, as files have it: with another name for the number of correct samples. */
type SavedState = Omit<TrainerState, "correct"> & { readonly right: number };

/** The state of a run besides its tensors, stored as JSON in the metadata. */
interface Header {
  readonly state: SavedState;
  readonly steps: number;
  readonly lr: number;
  /** The steps that did not update a parameter, if there are any. */
  readonly missed?: Readonly<Record<string, number>>;
  readonly generator: readonly number[];
  /** Missing in checkpoints of version 0.1.0. */
  readonly optimizer?: OptimizerSettings;
}

/**
 * Saves a training run: parameters and their moving average, optimiser state, random state and
 * progress. A run that continues from it with {@linkcode loadCheckpoint} gives the same results as one
 * that never stopped. To use a trained network elsewhere, save it with {@linkcode saveModel} instead.
 *
 * @param trainer The run, between two steps.
 * @param metadata Additional metadata for the file.
 * @returns The bytes of a safetensors file. Parameters have their names in the model.
 * @throws {FileError} When a parameter has no values, or is stored in fewer than 32 bits.
 * @throws {PembrokeError} While a step or {@linkcode Trainer.withAverage} runs.
 *
 * @example
 * ```ts ignore
 * await Deno.writeFile("run.safetensors.part", await saveCheckpoint(trainer));
 * await Deno.rename("run.safetensors.part", "run.safetensors"); // never half-written
 * ```
 */
export async function saveCheckpoint(
  trainer: Trainer,
  metadata: Readonly<Record<string, string>> = {},
): Promise<Uint8Array> {
  checkTrainer("saveCheckpoint", trainer);
  checkObject("saveCheckpoint", "metadata", metadata);
  const { model, average, generator, state, options: { optimizer } } = trainer;
  average?.checkUnused("saveCheckpoint");
  trainer.checkIdle("saveCheckpoint");
  const { correct, ...position } = state;
  const header: Header = {
    state: { ...position, right: correct },
    steps: optimizer.steps,
    lr: optimizer.lr,
    ...(optimizer.missed.size > 0 && { missed: Object.fromEntries(optimizer.missed) }),
    generator: [...generator.getState()],
    optimizer: optimizer.settings,
  };
  // now, because the run may go on while values are read
  const written = { ...metadata, format: checkpointFormat, run: JSON.stringify(header) };
  const tensors: [string, Tensor][] = [
    ...[...model.stateDict()].map(([name, p]): [string, Tensor] => [name, tensorOf(name, p)]),
    ...[...optimizer.stateDict()].map(([name, t]): [string, Tensor] => [stateName(name), t]),
    ...[...average?.stateDict() ?? []].map(([name, t]): [string, Tensor] => [averageName(name), t]),
  ];
  const entries = await Promise.all(tensors.map(async ([name, tensor]) => ({
    name,
    dtype: "F32" as const,
    shape: [...tensor.shape],
    data: await tensor.read(),
  })));
  return writeSafetensors(entries, written);
}

/**
 * Loads a checkpoint into a trainer, which must have the same model, dataset and options as the
 * saved one.
 *
 * @param trainer A new run, or one between two steps.
 * @param bytes The checkpoint: what {@linkcode saveCheckpoint} returned.
 * @param name The name of the checkpoint in error messages.
 * @throws {FileError} When the bytes are not a checkpoint, or it is for another model, batch size or
 * dataset, or of another optimiser, momentum or `betas`, or only one of both runs has an `emaDecay`.
 * @throws {ArgumentError} When `bytes` is neither a Uint8Array nor an ArrayBuffer.
 * @throws {PembrokeError} While a step or {@linkcode Trainer.withAverage} runs.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { Linear } from "../layers/mod.ts";
 * import { loadCheckpoint, saveCheckpoint } from "./checkpoint.ts";
 * import { arrayDataset } from "./dataset.ts";
 * import { SGD } from "./sgd.ts";
 * import { Trainer } from "./trainer.ts";
 *
 * using backend = await createBackend();
 * const data = arrayDataset(new Float32Array([1, 0, 0, 1]), [0, 1], [2]);
 * const begin = () => {
 *   const model = new Linear(2, 2).init(backend), optimizer = new SGD(model, { lr: 1 });
 *   return new Trainer(model, data, { optimizer, batchSize: 2, epochs: 3 });
 * };
 * const stopped = begin();
 * await stopped.trainEpoch();
 * const resumed = begin();
 * await loadCheckpoint(resumed, await saveCheckpoint(stopped));
 * for await (const { epoch } of resumed) console.log(epoch); // 1, 2
 * ```
 */
export async function loadCheckpoint(
  trainer: Trainer,
  bytes: Uint8Array | ArrayBufferLike,
  name = "checkpoint",
): Promise<void> {
  if (!asBytes(bytes)) {
    throw new ArgumentError("loadCheckpoint", "bytes", bytes, "a Uint8Array or an ArrayBuffer");
  }
  checkTrainer("loadCheckpoint", trainer);
  if (typeof name !== "string") throw new ArgumentError("loadCheckpoint", "name", name, "a string");
  const { model, average, generator, options: { optimizer } } = trainer;
  average?.checkUnused("loadCheckpoint");
  trainer.checkIdle("loadCheckpoint");
  using file = await openWeights(bytesSource(bytes, name));
  // what can fail comes first, so that a run goes on unharmed
  const header = readHeader(file);
  checkPosition(name, header.state, trainer);
  const states = checkTensors(file, trainer);
  const tensors = new Map([...model.stateDict()].map(([key, p]) => [key, tensorOf(key, p)]));
  for (const [key, tensor] of average?.stateDict() ?? []) tensors.set(averageName(key), tensor);
  checkOptimizer(name, header, optimizer, new Set(states));
  await optimizer.loadStateDict(states, (key, into) => readInto(file, stateName(key), into), name);
  for (const [key, tensor] of tensors) await readInto(file, key, tensor);
  forgetTrainedRanges(model);
  optimizer.steps = header.steps;
  optimizer.lr = header.lr;
  optimizer.missed = new Map(Object.entries(header.missed ?? {}));
  generator.setState(Uint32Array.from(header.generator));
  const { right, ...position } = header.state;
  trainer.state = { ...position, correct: right };
}

/** Checks that a checkpoint has the tensors of a run. Returns the names of the optimiser's states. */
function checkTensors(file: WeightsFile, { model, average }: Trainer): string[] {
  const shapes = new Map([...model.stateDict()].map(([key, { shape }]) => [key, shape]));
  const others = [...file.entries.keys()].filter((key) => !shapes.has(key));
  const hasAverage = others.some((key) => key.startsWith(averageName("")));
  if (hasAverage !== (average !== undefined)) {
    const [has, needs] = hasAverage ? ["a", "with"] : ["no", "without"];
    throw new FileError(
      file.name,
      `has ${has} moving average; create the trainer ${needs} emaDecay`,
    );
  }
  if (average) {
    const averages = average.stateDict();
    for (const [key, shape] of [...shapes]) {
      const name = averageName(key);
      // older checkpoints have an average for each name of a parameter that layers share
      if (averages.has(key) || file.entries.has(name)) shapes.set(name, shape);
    }
  }
  const states = others.filter((key) => key.startsWith(statePrefix));
  // compared when they are read: an optimiser may have other names, such as those of a layer inside
  for (const key of states) shapes.set(key, file.entries.get(key)!.shape);
  checkWeights(file, shapes, model.type, true);
  return states.map((key) => key.slice(statePrefix.length));
}

/** Reads a tensor of a checkpoint into one of the same shape. */
async function readInto(file: WeightsFile, key: string, into: Tensor): Promise<void> {
  const { shape } = file.entries.get(key)!;
  if (!sameShape(shape, into.shape)) {
    const expected = `${formatShape(shape)}, the optimizer expects ${formatShape(into.shape)}`;
    throw new FileError(file.name, `${escapeText(key)} is ${expected}`);
  }
  await file.read(key, (values, offset) => into.backend.write(into, values, offset));
}

function checkTrainer(op: string, trainer: unknown): void {
  if (!(trainer instanceof Trainer)) throw new ArgumentError(op, "trainer", trainer, "a Trainer");
}

const statePrefix = "optimizer.";

function stateName(name: string): string {
  return `${statePrefix}${name}`;
}

function averageName(name: string): string {
  return `average.${name}`;
}

/** Returns the float32 values of a parameter. */
function tensorOf(name: string, { tensor, backend }: Parameter): Tensor {
  if (tensor) return tensor;
  if (backend) {
    throw new FileError("checkpoint", `${name} is in fewer than 32 bits, which cannot be trained`);
  }
  throw new FileError("checkpoint", `${name} has no values; call init() on the model first`);
}

/** Whether a generator can take these numbers. */
function isGeneratorState(numbers: unknown): boolean {
  if (!Array.isArray(numbers)) return false; // any object with a length would be copied
  try {
    new RandomGenerator(0).setState(Uint32Array.from(numbers));
    return true;
  } catch {
    return false;
  }
}

/** Reads and checks the header of a checkpoint. */
function readHeader(file: WeightsFile): Header {
  if (file.metadata.get("format") !== checkpointFormat) {
    throw new FileError(file.name, `is not a checkpoint: its format is not "${checkpointFormat}"`);
  }
  const damaged = new FileError(file.name, "its header is damaged");
  let header: Header;
  try {
    header = JSON.parse(file.metadata.get("run") ?? "");
  } catch {
    throw damaged;
  }
  const { state, steps, lr, generator, missed, optimizer = {} } = header ?? {};
  const own = [state?.epoch, state?.batch, state?.seen, state?.right, steps];
  const counts = [...own, ...Object.values(missed ?? {})];
  const areCounts = counts.every((n) => Number.isInteger(n) && n >= 0);
  const areNumbers = Number.isFinite(state?.loss) && Number.isFinite(lr);
  const isObject = typeof optimizer === "object" && optimizer !== null;
  if (!areCounts || !areNumbers || !isObject || !isGeneratorState(generator)) throw damaged;
  return header;
}

/** Checks that an optimiser has the settings, and at least the states, of the saved one. */
function checkOptimizer(
  name: string,
  { optimizer: saved, steps, missed }: Header,
  optimizer: Optimizer,
  states: ReadonlySet<string>,
): void {
  if (!saved) return;
  const refuse = (reason: string) => {
    throw new FileError(name, `${reason}; create the optimizer as in the saved run`);
  };
  for (const [key, own] of Object.entries(optimizer.settings)) {
    const was = JSON.stringify(saved[key]), is = JSON.stringify(own);
    if (Object.hasOwn(saved, key) && was !== is) {
      refuse(`the ${key} of its optimizer is ${escapeText(String(was))}, not ${is}`);
    }
  }
  for (const parameter of optimizer.parameters.keys()) {
    if (steps === (missed?.[parameter] ?? 0)) continue; // it was never updated
    for (const state of optimizer.stateNames(parameter)) {
      if (!states.has(state)) refuse(`has no ${escapeText(state)}`);
    }
  }
}

/** Checks that a run can be where another one was saved. */
function checkPosition(
  name: string,
  { batch, seen }: SavedState,
  { dataset, options }: Trainer,
): void {
  const { batchSize, dropLast } = options, length = samplesPerEpoch(dataset, options);
  if (seen === batch * batchSize && seen < length) return;
  const has = dropLast ? `an epoch with dropLast has ${length}` : `the dataset has ${length}`;
  const differs = seen < length ? `batchSize is ${batchSize}` : has;
  throw new FileError(
    name,
    `its epoch has finished ${seen} samples in ${batch} batches, but ${differs}; create the ` +
      "trainer with the batchSize and the dataset of the saved run",
  );
}
