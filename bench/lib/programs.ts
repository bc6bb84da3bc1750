/**
 * Starts and stops the programs that a suite compares.
 *
 * @module
 */

import { progress } from "./progress.ts";
import type { Context } from "./suite.ts";
import type { Peer, PeerOptions } from "../peers/peer.ts";

/** A program to compare. All programs of a suite are created with the same input. */
export interface Program<P extends Peer, Input> {
  /** The name in results. */
  readonly name: string;
  /** Started once, with the first number of threads, because it cannot choose how many it uses. */
  readonly once?: boolean;
  create(input: Input, options: PeerOptions): Promise<P>;
}

/** The names of programs, each once. */
export function namesOf(programs: readonly { readonly name: string }[]): string[] {
  return [...new Set(programs.map(({ name }) => name))];
}

/**
 * Starts every selected program that runs on this machine, once for each number of threads that it
 * really uses. Then calls `use`, and stops the programs.
 */
export async function withPrograms<P extends Peer, Input, R>(
  programs: readonly Program<P, Input>[],
  input: Input,
  { options: { threads, only }, skipped }: Context,
  use: (peers: readonly P[]) => Promise<R>,
): Promise<R> {
  const peers: P[] = [];
  try {
    for (const { name, once, create } of programs) {
      if (only && !only.includes(name)) continue;
      for (const count of once ? threads.slice(0, 1) : threads) {
        progress(`starting ${name}`);
        try {
          const peer = await create(input, { threads: count });
          if (peers.some((other) => isSame(peer, other))) {
            skipped.add(`${name} with ${count} threads`, `it uses ${peer.threads} here`);
            await peer.dispose();
          } else peers.push(peer);
        } catch (error) {
          skipped.add(name, error);
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
