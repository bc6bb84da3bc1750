/** Opens the model of a command, and the backend that it runs on. */

import { type Backend, createBackend } from "../backend/mod.ts";
import { DeviceLostError, type PembrokeError } from "../errors.ts";
import type { Precision } from "../layers/precision.ts";
import type { Classifier } from "../models/classifier.ts";
import { checkScores } from "../models/classify.ts";
import { elements } from "../tensor.ts";
import type { ModelOptions } from "./args.ts";
import { type SelectedModel, selectModel, type SelectOptions } from "./model.ts";
import { Progress } from "./progress.ts";
import { note, plural, warn } from "./terminal.ts";

/** A model, and the device that it runs on. */
interface OpenedModel extends Disposable {
  readonly device: Device;
  readonly selected: SelectedModel;
}

/** Opens the model of the options, and its device, which loads the weights before the first run. */
export async function openModel(
  options: ModelOptions,
  threads: 1 | "auto" = "auto",
  how: SelectOptions = {},
): Promise<OpenedModel> {
  using stack = new DisposableStack();
  // the device calls it later, when there is a model
  const prepare = (backend: Backend) => loadWeights(selected, backend, options);
  const device = stack.use(await Device.open(options, threads, prepare));
  const selected = stack.use(await selectModel(options, how));
  const opened = stack.move();
  return { device, selected, [Symbol.dispose]: () => opened.dispose() };
}

/** Throws now, and not at the first photo, if a network cannot classify. */
export async function checkClassifies(model: Classifier): Promise<void> {
  await model.classifyBatch([]); // throws if an ONNX file is no classifier
  checkScores(model, elements(model.outputShape(model.inputShape())));
}

/** Loads the weights of a model, and prints the model, the backend and the hint. */
async function loadWeights(
  selected: SelectedModel,
  backend: Backend,
  { quiet, verbose }: ModelOptions,
): Promise<void> {
  const start = performance.now(), progress = new Progress("loading", !quiet);
  try {
    await selected.load(backend, (done, total) => progress.update(done, total));
  } finally {
    progress.clear();
  }
  if (quiet) return;
  const { model, weights, precision, hint } = selected;
  const duration = verbose ? `, ready after ${(performance.now() - start).toFixed(1)} ms` : "";
  const threads = plural(backend.threads, "thread");
  const actual = effectivePrecision(precision, backend);
  const name = actual === "f32" ? model.type : `${model.type} ${actual}`;
  note(`${name}, ${weights}, ${backend.name}, ${threads}${duration}`);
  if (hint) note(hint);
}

/** The precision in which a backend holds weights: Wasm has no f16. */
export function effectivePrecision(precision: Precision, backend: Backend): Precision {
  return precision === "f16" && backend.device !== "webgpu" ? "f32" : precision;
}

/** The backend of the command. With `--backend auto`, Wasm replaces a GPU that fails. */
export class Device implements Disposable {
  /** The current backend. */
  backend: Backend;
  readonly #prepare: (backend: Backend) => Promise<void>;
  readonly #options: ModelOptions;
  #ready: Promise<void> | undefined;

  private constructor(
    backend: Backend,
    options: ModelOptions,
    prepare: (backend: Backend) => Promise<void>,
  ) {
    this.backend = backend;
    this.#options = options;
    this.#prepare = prepare;
  }

  /**
   * Creates the backend.
   *
   * @param prepare Loads the model's weights, before the first run and after a fallback.
   */
  static async open(
    options: ModelOptions,
    threads: 1 | "auto",
    prepare: (backend: Backend) => Promise<void>,
  ): Promise<Device> {
    const onFallback = (reason: PembrokeError) => {
      if (reason instanceof DeviceLostError) warnOfFallback(reason, options);
      else if (options.verbose) note(`${reason.message}; using wasm`);
    };
    const backend = await createBackend({ device: options.backend, threads, onFallback });
    return new Device(backend, options, prepare);
  }

  /** Loads the weights, unless they are loaded. */
  async prepare(): Promise<void> {
    try {
      await (this.#ready ??= this.#prepare(this.backend));
    } catch (error) {
      await this.#fallBack(error);
    }
  }

  /** Runs the model; if the GPU fails, runs it again on Wasm. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    await this.prepare();
    try {
      return await work();
    } catch (error) {
      await this.#fallBack(error);
      return await work();
    }
  }

  /** Switches to Wasm after a GPU failure; rethrows any other error. */
  async #fallBack(error: unknown): Promise<void> {
    if (!(error instanceof DeviceLostError && this.#options.backend === "auto")) throw error;
    warnOfFallback(error, this.#options);
    this.backend.dispose();
    this.backend = await createBackend({ device: "wasm" });
    this.#ready = this.#prepare(this.backend);
    // after a failure, the next call of prepare() tries again, as a server does with the next photo
    this.#ready.catch(() => this.#ready = undefined);
    await this.#ready;
  }

  /** Frees the memory. */
  [Symbol.dispose](): void {
    this.backend.dispose();
  }
}

function warnOfFallback({ message }: DeviceLostError, { quiet }: ModelOptions): void {
  if (!quiet) warn(`${message}; falling back to wasm`);
}
