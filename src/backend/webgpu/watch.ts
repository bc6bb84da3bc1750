/**
 * What goes wrong on a device is told later: kept here until somebody waits for a result.
 *
 * @module
 */

import { DeviceLostError } from "../../errors.ts";

/** The first thing that went wrong with a device. */
export class DeviceWatch {
  readonly #device: GPUDevice;
  #failure: string | undefined;
  /** Answers to "did anything go wrong" that have not come yet. */
  #pending: Promise<void>[] = [];

  constructor(device: GPUDevice) {
    this.#device = device;
    device.lost.then(({ reason, message }) => {
      this.#fail(`the device was lost (${message || reason})`);
    });
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault(); // browsers would print it
      this.#fail((event as GPUUncapturedErrorEvent).error.message);
    });
  }

  /** Throws if anything is known to have gone wrong. */
  check(): void {
    if (this.#failure !== undefined) throw new DeviceLostError(this.#failure);
  }

  /** Calls the device; whether it was wrong is known later. */
  scoped<T>(call: () => T): T {
    this.#device.pushErrorScope("validation");
    try {
      return call();
    } finally {
      const told = this.#device.popErrorScope().then(
        (error) => error ? this.#fail(error.message) : undefined,
        () => {}, // a lost device tells nothing more
      );
      this.#pending.push(told);
    }
  }

  /** Waits for a device's answer; throws if anything before it went wrong. */
  async settled<T>(answer: Promise<T>): Promise<T> {
    const pending = this.#pending;
    this.#pending = [];
    const came = answer.then((value) => ({ value }), (error) => ({ error }));
    await Promise.all(pending);
    this.check();
    const result = await came;
    this.check();
    if ("value" in result) return result.value;
    // Buffers of a lost device fail to be read before the loss itself is told.
    throw new DeviceLostError(`the device was lost (${firstLine(String(result.error))})`);
  }

  /** The first failure is the cause of those behind it. */
  #fail(message: string): void {
    this.#failure ??= firstLine(message);
  }
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0];
}
