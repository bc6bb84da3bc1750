/**
 * Watches a device for errors. WebGPU reports them late. The first one is kept for the next call.
 *
 * @module
 */

import { DeviceLostError, PembrokeError } from "../../errors.ts";

/** Keeps the first error of a device. */
export class DeviceWatch {
  readonly #device: GPUDevice;
  readonly #lost: Promise<void>;
  #failure: string | undefined;
  /** Error scopes that have not reported yet. */
  #pending: Promise<void>[] = [];

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#lost = device.lost.then(({ reason, message }) => {
      this.#fail(`the device was lost (${message || reason})`);
    });
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault(); // browsers would print it
      this.#fail((event as GPUUncapturedErrorEvent).error.message);
    });
  }

  /**
   * Checks the errors reported so far.
   *
   * @throws {DeviceLostError} When there was one.
   */
  check(): void {
    if (this.#failure !== undefined) throw new DeviceLostError(this.#failure);
  }

  /**
   * Calls the device. A runtime may throw what others report later.
   *
   * @throws {DeviceLostError} When the call throws.
   */
  guarded<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      if (!(error instanceof PembrokeError)) this.#fail(String(error));
      this.check();
      throw error;
    }
  }

  /** Calls the device in an error scope, which reports later. */
  checked<T>(call: () => T): T {
    this.#device.pushErrorScope("validation");
    try {
      return call();
    } finally {
      const report = this.#device.popErrorScope().then(
        (error) => error ? this.#fail(error.message) : undefined,
        () => {}, // a lost device reports nothing more
      );
      this.#pending.push(report);
    }
  }

  /**
   * Creates a pipeline.
   *
   * @throws {DeviceLostError} When it does not compile.
   */
  async pipelineOf(create: () => Promise<GPUComputePipeline>): Promise<GPUComputePipeline> {
    try {
      return await create();
    } catch (error) {
      const { message } = error as Error, lines = message.split("\n");
      // Deno names the reason in a line of its own
      this.#fail(lines.find((line) => line.includes("error:")) ?? message);
      this.check();
      throw error;
    }
  }

  /** Waits for a promise, or until the device is lost. */
  async untilLost(promise: Promise<unknown>): Promise<void> {
    await Promise.race([promise, this.#lost]);
  }

  /**
   * Waits for a result of the device.
   *
   * @throws {DeviceLostError} When anything before it failed.
   */
  async resultOf<T>(promise: Promise<T>): Promise<T> {
    const pending = this.#pending;
    this.#pending = [];
    const outcome = promise.then((value) => ({ value }), (error) => ({ error }));
    await Promise.all(pending);
    this.check();
    const result = await outcome;
    this.check();
    if ("value" in result) return result.value;
    // reading from a lost device fails before the loss is reported
    throw new DeviceLostError(`the device was lost (${firstLine(String(result.error))})`);
  }

  /** Keeps the first failure, which is the cause of those after it. */
  #fail(message: string): void {
    this.#failure ??= firstLine(message);
  }
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0];
}
