/**
 * Features of photos that were computed before, in the cache of models: a file for each network. It
 * is a list of records, each with the SHA-256 of a photo, the features, and the first bytes of the
 * SHA-256 of both. Records are only appended, so that an interruption loses none.
 */

import { createHash } from "node:crypto";
import { cacheFolder } from "../hub/cache.ts";
import { Lock, lockPathOf } from "../io/lock.ts";
import { isSystemError } from "../io/system_error.ts";
import { envIfGranted, isGranted } from "./errors.ts";

/** Changes with the contents of records. */
const version = 1;
const hashBytes = 32;
const checkBytes = 8;
/** All files together. Of 512 features, there is room for 60,000 photos. */
const maxBytes = 256e6;

/** A SHA-256, as hexadecimal digits. */
export type Digest = string;

/** SHA-256 in hexadecimal. */
export function sha256(...parts: readonly (string | Uint8Array)[]): Digest {
  const hash = createHash("sha256");
  parts.forEach((part) => hash.update(part));
  return hash.digest("hex");
}

/** Where features can be kept without asking for permissions; undefined if nowhere. */
export function featureFolder(): string | undefined {
  const folder = cacheFolder(envIfGranted);
  if (folder === undefined) return undefined;
  const path = `${folder}/features`;
  const allowed = isGranted({ name: "read", path }) && isGranted({ name: "write", path });
  return allowed ? path : undefined;
}

/** The features of one network. Without a file, it keeps them until the end of the command. */
export class FeatureCache implements Disposable {
  readonly #known = new Map<Digest, Float32Array>();
  readonly #file: Deno.FsFile | undefined;
  readonly #lock: Lock | undefined;
  #room: number;

  private constructor(file?: Deno.FsFile, lock?: Lock, room = 0) {
    this.#file = file;
    this.#lock = lock;
    this.#room = room;
  }

  /**
   * Opens the cache, and reads the features of some photos. A cache that cannot be read or written
   * is not used. While another command writes to it, it is only read.
   *
   * @param network Identifies the network, its weights, and how photos are prepared.
   * @param count Floats of each photo.
   * @param wanted The SHA-256 of the photos.
   */
  static async open(
    folder: string | undefined,
    network: readonly string[],
    count: number,
    wanted: ReadonlySet<Digest>,
  ): Promise<FeatureCache> {
    if (folder === undefined) return new FeatureCache();
    const path = `${folder}/${sha256(JSON.stringify([version, count, ...network]))}.bin`;
    const recordBytes = hashBytes + 4 * count + checkBytes;
    let lock: Lock | undefined, file: Deno.FsFile | undefined;
    try {
      await Deno.mkdir(folder, { recursive: true });
      lock = await Lock.tryAcquire(lockPathOf(path));
      const writes = lock !== undefined;
      file = await Deno.open(path, { read: true, write: writes, create: writes });
      const { size } = await file.stat();
      const used = size - size % recordBytes;
      if (writes && used < size) await file.truncate(used); // an interrupted write
      const room = writes ? await makeRoom(folder, path) : 0;
      const cache = new FeatureCache(file, lock, room);
      await cache.#read(recordBytes, wanted);
      if (writes) await file.seek(0, Deno.SeekMode.End);
      return cache;
    } catch (error) {
      file?.close();
      lock?.[Symbol.dispose]();
      if (isSystemError(error)) return new FeatureCache();
      throw error;
    }
  }

  /** The features of a photo, if they are known. */
  get(photo: Digest): Float32Array | undefined {
    return this.#known.get(photo);
  }

  /** Adds the features of a photo. */
  set(photo: Digest, values: Float32Array): void {
    this.#known.set(photo, values);
    const record = recordOf(photo, values);
    if (!this.#file || !this.#lock || record.length > this.#room) return;
    this.#room -= record.length;
    try {
      for (let rest = record; rest.length > 0;) {
        rest = rest.subarray(this.#file.writeSync(rest));
      }
    } catch (error) {
      if (!isSystemError(error)) throw error;
      this.#room = 0; // the disk is full: the command works without
    }
  }

  /** Reads the records of some photos; others, and damaged ones, are ignored. */
  async #read(recordBytes: number, wanted: ReadonlySet<Digest>): Promise<void> {
    const perRead = Math.max(1, Math.floor(2 ** 20 / recordBytes));
    const buffer = new Uint8Array(perRead * recordBytes);
    for (let filled = 0;;) {
      const count = await this.#file!.read(buffer.subarray(filled));
      filled += count ?? 0;
      if (count !== null && filled < buffer.length) continue;
      for (let at = 0; at + recordBytes <= filled; at += recordBytes) {
        const record = buffer.subarray(at, at + recordBytes);
        const photo = record.subarray(0, hashBytes).toHex();
        if (!wanted.has(photo)) continue;
        const values = new Float32Array(record.slice(hashBytes, -checkBytes).buffer);
        const isWhole = recordOf(photo, values).every((byte, i) => byte === record[i]);
        if (isWhole) this.#known.set(photo, values);
      }
      if (count === null) return;
      filled = 0;
    }
  }

  /** Closes and unlocks the file. */
  [Symbol.dispose](): void {
    this.#file?.close();
    this.#lock?.[Symbol.dispose]();
  }
}

function recordOf(photo: Digest, values: Float32Array): Uint8Array {
  const floats = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const record = new Uint8Array(hashBytes + floats.length + checkBytes);
  record.set(Uint8Array.fromHex(photo));
  record.set(floats, hashBytes);
  const check = sha256(record.subarray(0, -checkBytes)).slice(0, 2 * checkBytes);
  record.set(Uint8Array.fromHex(check), record.length - checkBytes);
  return record;
}

/**
 * Deletes files, those used longest ago first, until half of the cache is free. The file at `path`
 * stays, but is emptied if it fills more than half. Returns the bytes that may be added.
 */
async function makeRoom(folder: string, path: string): Promise<number> {
  const files: { path: string; size: number; time: number }[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    if (!/^[\da-f]{64}\.(bin|safetensors)$/.test(name)) continue;
    const file = `${folder}/${name}`;
    const { size, mtime } = await Deno.stat(file);
    files.push({ path: file, size, time: Number(mtime) });
  }
  files.sort((a, b) => a.time - b.time);
  let total = files.reduce((sum, { size }) => sum + size, 0);
  for (const { path: other, size } of files) {
    if (total <= maxBytes / 2) break;
    if (other === path) {
      if (size <= maxBytes / 2) continue;
      await Deno.truncate(path);
    } else await Deno.remove(other);
    total -= size;
  }
  return maxBytes - total;
}
