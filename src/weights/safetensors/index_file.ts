/**
 * Opens weights in several files ("shards"), through the JSON file that lists their tensors:
 * `model.safetensors.index.json`, or `pytorch_model.bin.index.json`.
 *
 * Source: huggingface_hub, `save_torch_state_dict()`.
 *
 * @module
 */

import { ArgumentError, FileError } from "../../errors.ts";
import { escapeText } from "../io/quote.ts";
import type { RelatedFiles } from "../io/related_files.ts";
import { type ByteSource, readBytes } from "../io/source.ts";
import type { WeightEntry } from "../layout.ts";
import { shortNames } from "../names.ts";
import { scaleName } from "../quantized.ts";
import {
  type IntegerSink,
  isWeight,
  type WeightsFile,
  type WeightsFormat,
  type WeightSink,
} from "../tensor_file.ts";
import { parseIndex } from "./header.ts";

/** Longer than any index. */
const maxIndexBytes = 8 << 20;

/** Where a tensor is. */
interface Place {
  readonly shard: WeightsFile;
  /** Its name in the shard. */
  readonly name: string;
}

/** Weights in several files. */
class ShardedFile implements WeightsFile {
  readonly metadata: ReadonlyMap<string, string>;
  readonly format: WeightsFormat;
  readonly entries: ReadonlyMap<string, WeightEntry>;
  readonly order: readonly string[];
  readonly #places: ReadonlyMap<string, Place>;
  #open = true;

  constructor(
    readonly name: string,
    readonly shards: readonly WeightsFile[],
    readonly files: RelatedFiles,
  ) {
    const all = new Map<string, WeightEntry>(), places = new Map<string, Place>();
    for (const shard of shards) {
      for (const name of shard.order) {
        all.set(name, shard.entries.get(name)!);
        places.set(name, { shard, name });
      }
    }
    const names = [...shortNames(all, isWeight)];
    this.order = names.map(([, short]) => short);
    this.entries = new Map(
      names.map(([name, short]) => [short, { ...all.get(name)!, name: short }]),
    );
    this.#places = new Map(names.map(([name, short]) => [short, places.get(name)!]));
    this.format = shards[0].format;
    this.metadata = shards[0].metadata;
  }

  async read(name: string, ...sinks: [WeightSink, IntegerSink?]): Promise<void> {
    if (!this.#open) throw new ArgumentError("read", "file", "closed", "open");
    const place = this.#places.get(name);
    if (!place) throw new ArgumentError("read", "name", name, `an entry of ${this.name}`);
    await place.shard.read(place.name, ...sinks);
  }

  close(): void {
    this.#open = false;
    for (const shard of this.shards) shard.close();
    this.files.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Opens all shards of an index. The index itself is closed.
 *
 * @param openShard Opens a shard, whose names stay as they are.
 * @throws {FileError} When the index is malformed, or does not match the shards.
 */
export async function openIndex(
  index: ByteSource,
  files: RelatedFiles,
  openShard: (source: ByteSource) => Promise<WeightsFile>,
): Promise<WeightsFile> {
  const bad = (reason: string) => new FileError(index.name, reason);
  if (index.size > maxIndexBytes) throw bad("is an index of more than 8 MiB, or not an index");
  const shardOf = parseIndex(await readBytes(index, 0, index.size), index.name);
  if (shardOf.size === 0) throw bad("lists no tensors");
  const shards = new Map<string, WeightsFile>();
  try {
    for (const shard of new Set(shardOf.values())) {
      shards.set(shard, await openShard(await files.open(shard)));
    }
    const difference = differenceBetween(shardOf, shards);
    if (difference !== undefined) throw bad(difference);
    return new ShardedFile(index.name, [...shards.values()], files);
  } catch (error) {
    for (const shard of shards.values()) shard.close();
    throw error;
  } finally {
    index.close();
  }
}

/** Says which tensor the index or its shard lacks; undefined if both have the same tensors. */
function differenceBetween(
  shardOf: ReadonlyMap<string, string>,
  shards: ReadonlyMap<string, WeightsFile>,
): string | undefined {
  for (const [name, shard] of shardOf) {
    const { entries } = shards.get(shard)!;
    if (entries.has(name)) continue;
    const scaled = /^(.*)_scale$/s.exec(name)?.[1]; // scales have no entry of their own
    if (scaled !== undefined && entries.get(scaled)?.quantized) continue;
    return `${escapeText(name)} is not in ${escapeText(shard)}: damaged`;
  }
  for (const [shard, { entries }] of shards) {
    for (const { name, quantized } of entries.values()) {
      const names = quantized ? [name, scaleName(name)] : [name];
      if (names.every((name) => shardOf.get(name) === shard)) continue;
      return `does not list ${escapeText(name)} of ${escapeText(shard)}`;
    }
  }
  return undefined;
}
