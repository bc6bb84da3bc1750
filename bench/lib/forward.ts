/**
 * Times forward passes of networks.
 *
 * @module
 */

import type { Network } from "../peers/network.ts";
import type { NetworkPeer } from "../peers/peer.ts";
import { randomImages } from "../peers/random.ts";
import type { Measurement, Task } from "./results.ts";
import {
  type Context,
  entriesFor,
  measure,
  type MeasureOptions,
  roundsFor,
  seed,
} from "./suite.ts";

/** What a suite measures of each network. */
export interface ForwardOptions extends Pick<MeasureOptions, "gauges"> {
  /** Batch sizes without `--batch`. */
  readonly batches: readonly number[];
  /** How the results of a batch size are shown. */
  readonly taskOf: (batch: number) => Omit<Task, "flops">;
}

/** Times forward passes of a network with each batch size. All programs get the same images. */
export async function measureForward(
  network: Network,
  peers: readonly NetworkPeer[],
  { options, skipped }: Context,
  { batches, taskOf, gauges }: ForwardOptions,
): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (const batch of options.batches ?? batches) {
    const images = randomImages(batch, seed, network.image);
    const task = { ...taskOf(batch), flops: 2 * network.forwardMacs * batch };
    const label = `${task.section}, ${task.name}`, rounds = roundsFor(batch, options);
    const work = (peer: NetworkPeer) => peer.forward(images, batch);
    const entries = await entriesFor(task, peers, work, skipped, label);
    measurements.push(...await measure(entries, { label, rounds, gauges, skipped }));
  }
  return measurements;
}
