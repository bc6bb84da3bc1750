/** Runs a network on many photos: decodes on all processors, in batches. */

import { DecodePool } from "../image/threads/pool.ts";
import type { Preprocessing } from "../image/preprocess.ts";
import type { Device } from "./device.ts";
import { isWebUrl } from "./inputs.ts";
import type { Stages } from "./pipeline.ts";

/** Faster by a tenth than 16: decoding interrupts inference less often. */
const defaultBatch = 32;

/**
 * The stages for many photos. Disposing of them stops the decoding threads.
 *
 * @param run Runs the network on a batch of preprocessed photos.
 * @param batchSize Photos per batch.
 */
export function bulkStages<T>(
  preprocessing: Preprocessing,
  device: Device,
  run: Stages<T>["run"],
  batchSize = defaultBatch,
): Stages<T> & Disposable {
  const processors = navigator.hardwareConcurrency;
  const decoders = new DecodePool(processors, preprocessing);
  return {
    decode: (bytes, name) => decoders.decode(bytes, { name, reuse: !isWebUrl(name) }),
    // one batch, and two images for each worker: one to decode, and the next
    readAhead: batchSize + 2 * processors,
    prepare: () => device.prepare(),
    run: (images) => device.run(() => run(images)),
    batchSize,
    [Symbol.dispose]: () => decoders[Symbol.dispose](),
  };
}
