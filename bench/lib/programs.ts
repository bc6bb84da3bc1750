/**
 * Starting the programs that a suite compares.
 *
 * @module
 */

import { progress } from "./progress.ts";
import type { Context } from "./suite.ts";
import type { Peer, PeerOptions } from "../peers/peer.ts";

/** A program that can take part, as soon as it is given what all of them are given. */
export interface Program<P extends Peer, Given> {
  /** As in the bench's lists. */
  readonly name: string;
  /** Started once, with the first number of threads: it cannot choose, or not twice. */
  readonly once?: boolean;
  create(given: Given, options: PeerOptions): Promise<P>;
}

/**
 * Starts every program that was asked for and can run here, once for each number of threads that it
 * really uses; runs `use` and stops all of them.
 */
export async function withPrograms<P extends Peer, Given, R>(
  programs: readonly Program<P, Given>[],
  given: Given,
  { options: { threads, only }, leftOut }: Context,
  use: (peers: readonly P[]) => Promise<R>,
): Promise<R> {
  const peers: P[] = [];
  try {
    for (const { name, once, create } of programs) {
      if (only && !only.includes(name)) continue;
      for (const count of once ? threads.slice(0, 1) : threads) {
        progress(`starting ${name}`);
        try {
          const peer = await create(given, { threads: count });
          if (peers.some((other) => isSame(peer, other))) {
            leftOut.add(`${name} with ${count} threads`, `it has ${peer.threads} here`);
            await peer.dispose();
          } else peers.push(peer);
        } catch (error) {
          leftOut.add(name, error);
        }
      }
    }
    return await use(peers);
  } finally {
    progress("");
    for (const peer of peers) await peer.dispose();
  }
}

function isSame(a: Peer, b: Peer): boolean {
  return a.name === b.name && a.variant === b.variant && a.threads === b.threads;
}
