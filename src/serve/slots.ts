/**
 * Limits how many photos are decoded or classified, or wait for that.
 *
 * @module
 */

import { busy } from "./request_error.ts";

/** A place among the photos. Disposing it frees it. */
export interface Slot extends Disposable {
  /** Keeps the place: call it while waiting. */
  renew(): void;
}

/** No photo is decoded and classified for this long, in milliseconds. */
const slotMs = 120_000;

/** The places of all photos. */
export class Slots {
  readonly #max: number;
  /** When each was taken or renewed. */
  readonly #taken = new Map<Slot, number>();

  /** @param max Number of slots; Infinity for any number. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Whether there is none. */
  get full(): boolean {
    if (this.#taken.size < this.#max) return false;
    // Edge runtimes end requests without notice; their slots are free again after some time.
    const oldest = Date.now() - slotMs;
    for (const [slot, since] of this.#taken) if (since < oldest) this.#taken.delete(slot);
    return this.#taken.size >= this.#max;
  }

  /** @throws {RequestError} If there is none. */
  take(): Slot {
    if (this.full) throw busy();
    const slot: Slot = {
      // takes it again, if a pause of the process or a step of the clock freed it
      renew: () => void this.#taken.set(slot, Date.now()),
      [Symbol.dispose]: () => void this.#taken.delete(slot),
    };
    slot.renew();
    return slot;
  }
}
