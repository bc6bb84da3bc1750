/**
 * Running the codecs of jSquash, which Emscripten made.
 *
 * Each picture gets an instance that is as new: what a hostile file has broken is gone with that
 * file. The packages' own entry points share one instance for ever, which is why they are not used.
 *
 * Instances of 16 MB that wait to be collected would fill a server's memory. So the second one is kept
 * and made as new after each picture. Most programs need but the first, which is kept only where the
 * compiled codec is passed, as on edge runtimes: they have little memory.
 *
 * Whoever decodes many pictures of his own may have one kept as it is, until a picture goes wrong.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { fromRgba, type RgbaImage, type RgbImage } from "../pixels.ts";
import { release } from "../release.ts";

/** What the packages' factories make, once they have started. */
interface Codec {
  decode(bytes: Uint8Array, ...options: unknown[]): RgbaImage | null;
}

/** The default export of a package's `codec/dec/*.js`, whose own types are not to be had. */
type Factory = (overrides: Record<string, unknown>) => Promise<Codec>;

/** A codec that has started. */
interface Started {
  readonly codec: Codec;
  readonly module: WebAssembly.Module | undefined;
  /** Lines that it would have printed; whoever runs it takes them. */
  printed: string[];
  /** Makes it as new; false when it has grown and is better left. */
  renew(): boolean;
  /** Whether its memory has grown: it never shrinks. */
  grown(): boolean;
}

/** Codecs that wait for the next picture, by their modules: made as new, or as the last left them. */
const renewed = new WeakMap<WebAssembly.Module, Started>();
const used = new WeakMap<WebAssembly.Module, Started>();
const startedBefore = new WeakSet<WebAssembly.Module>();
/**
 * The glue of Emscripten registers some functions anew after each renewal, which has forgotten that
 * they were: an instance takes no more pictures than this.
 */
const mostRenewals = 256;

/** Which codec, and on what. */
export interface Job {
  readonly format: "JPEG" | "WebP";
  /** Imports the package's factory. */
  readonly loadFactory: () => Promise<{ default: unknown }>;
  /** Imports the binary, unless the caller brings it. */
  readonly loadModule: () => Promise<{ default: WebAssembly.Module }>;
  readonly module: WebAssembly.Module | undefined;
  /** Whether one that other pictures have been through will do. */
  readonly reuse: boolean;
  readonly bytes: Uint8Array;
  readonly options?: readonly unknown[];
  /** The file, for errors. */
  readonly name: string;
}

/** Decodes one picture; also returns the lines that the codec would have printed. */
export async function runCodec(job: Job): Promise<{ image: RgbImage; printed: string[] }> {
  const { bytes, options = [], format, name, reuse } = job;
  const started = await start(job).catch((cause) => {
    throw new FileError(name, notLoaded(format, cause), { cause });
  });
  const { codec, printed } = started;
  let rgba: RgbaImage | null = null, cause: unknown;
  try {
    rgba = codec.decode(bytes, ...options);
  } catch (error) {
    cause = error; // "exit(1)" or a trap: what was printed before says more
  }
  if (!rgba) {
    const reason = printed.at(-1) ?? (cause ? reasonOf(cause) : "its data is wrong");
    throw new FileError(name, `the ${format} cannot be decoded: ${reason}`, { cause });
  }
  const image = fromRgba(rgba);
  release(rgba.data);
  const { module } = started;
  if (module && reuse) {
    if (printed.length === 0 && !started.grown()) used.set(module, started);
  } else if (module && started.renew()) renewed.set(module, started);
  return { image, printed };
}

/**
 * Why there is no codec. Deno takes packages from node_modules alone where a project has a
 * package.json, or says "nodeModulesDir": "manual".
 */
function notLoaded(format: string, error: { readonly code?: unknown }): string {
  const reason = reasonOf(error);
  const [missing] = error.code === "ERR_MODULE_NOT_FOUND"
    ? /npm:@[^@]+@[\d.]+/.exec(reason) ?? []
    : [];
  if (!missing) return `the ${format} codec cannot be loaded: ${reason}`;
  return `the ${format} codec is not among this project's packages; run "deno add ${missing}", ` +
    `or put "nodeModulesDir": "auto" into deno.json; PNG, pixels (fromRgba) and a decoder of your ` +
    `own (the option "codecs") work without it`;
}

/** What the codecs return pixels in; without pages, a runtime need not have it. */
class Pixels {
  constructor(
    readonly data: Uint8ClampedArray,
    readonly width: number,
    readonly height: number,
  ) {}
}

async function start(job: Job): Promise<Started> {
  if (typeof ImageData === "undefined") Object.assign(globalThis, { ImageData: Pixels });
  const factory = (await job.loadFactory()).default as Factory;
  const module = job.module ?? await job.loadModule().then(
    (loaded) => loaded.default,
    (error) => {
      if (!(error instanceof SyntaxError)) throw error;
      return undefined; // no source phase imports here: the factory fetches the file beside it
    },
  );
  const waiting = job.reuse ? used : renewed;
  const kept = module && waiting.get(module);
  if (module && kept) {
    waiting.delete(module); // until it has done this picture, too
    kept.printed = [];
    return kept;
  }
  const print = (line: string) => void started.printed.push(line);
  let instance: WebAssembly.Instance | undefined;
  const codec = await factory({
    noInitialRun: true,
    print,
    printErr: print,
    instantiateWasm: module &&
      ((imports: WebAssembly.Imports, done: (i: WebAssembly.Instance) => void) => {
        instance = new WebAssembly.Instance(module, imports);
        done(instance);
        return instance.exports;
      }),
  });
  const memory = instance && memoryOf(instance), buffer = memory?.buffer;
  const grown = () => memory?.buffer !== buffer;
  const again = module && !job.reuse && (job.module || startedBefore.has(module));
  const renew = again && memory ? renewing(memory, job.module !== undefined) : () => false;
  if (module) startedBefore.add(module);
  const started: Started = { codec, module, printed: [], renew, grown };
  return started;
}

function memoryOf({ exports }: WebAssembly.Instance): WebAssembly.Memory {
  return Object.values(exports).find((one) => one instanceof WebAssembly.Memory)!;
}

/**
 * Notes what an instance that has just started holds; the function writes that again. To look for the
 * pages that were never used, and leave them so, takes longer than to clear all of them.
 */
function renewing(memory: WebAssembly.Memory, sparing: boolean): () => boolean {
  const { buffer } = memory;
  const start = new Uint8Array(buffer).slice(0, usedBytes(buffer));
  let times = 0;
  return () => {
    if (memory.buffer !== buffer) return false; // it has grown, and memory never shrinks
    if (++times === mostRenewals) return false;
    const bytes = new Uint8Array(buffer);
    bytes.fill(0, start.length, sparing ? usedBytes(buffer) : bytes.length);
    bytes.set(start);
    return true;
  };
}

/** Bytes up to the last that is not 0. */
function usedBytes(buffer: ArrayBufferLike): number {
  const words = new BigUint64Array(buffer);
  let end = words.length;
  while (end > 0 && words[end - 1] === 0n) end--;
  return end * 8;
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0];
}
