/**
 * Limits how many photos are decoded or classified, or wait for that.
 *
 * @module
 */

import { busy } from "./request_error.ts";

/** The permission to decode and classify a photo. Disposing of it frees the slot. */
export interface Slot extends Disposable {
  /** Keeps the slot. Call it while waiting. */
  renew(): void;
}

/** A slot that was not renewed for this long is free again, in milliseconds. No photo takes as long. */
const slotMs = 120_000;

/** The slots of all photos. */
export class Slots {
  readonly #max: number;
  /** When each slot was taken or renewed. */
  readonly #taken = new Map<Slot, number>();

  /** @param max Number of slots; Infinity for any number. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Whether all slots are taken. */
  get full(): boolean {
    if (this.#taken.size < this.#max) return false;
    // Edge runtimes end requests without notice; their slots are free again after some time.
    const oldest = Date.now() - slotMs;
    for (const [slot, since] of this.#taken) if (since < oldest) this.#taken.delete(slot);
    return this.#taken.size >= this.#max;
  }

  /**
   * Takes a slot.
   *
   * @throws {RequestError} When all are taken.
   */
  take(): Slot {
    if (this.full) throw busy();
    const slot: Slot = {
      // takes the slot again if a pause of the process or a step of the clock has freed it
      renew: () => void this.#taken.set(slot, Date.now()),
      [Symbol.dispose]: () => void this.#taken.delete(slot),
    };
    slot.renew();
    return slot;
  }
}
