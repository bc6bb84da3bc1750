/**
 * Runs jSquash's codecs, which are compiled with Emscripten.
 *
 * Every image gets a codec instance in its initial state, so that a malicious file cannot affect later
 * images. The packages' own entry points share one instance forever, so they are not used.
 *
 * New instances of 16 MB for every image would fill a server's memory before they are garbage
 * collected. So instances are kept, and their memory is reset after each image. The first instance of
 * a codec is not kept, because most programs need no other. If the caller passed the compiled codec,
 * even the first is kept: edge runtimes do this, and have little memory.
 *
 * With `reuse`, an instance is kept without a reset, until an image fails or prints a warning.
 *
 * @module
 */

import { CodecError, FileError } from "../../errors.ts";
import type { RgbaImage, RgbImage } from "../pixels.ts";
import { markOwned } from "../release.ts";

/** The object that a package's factory returns. */
interface Codec {
  decode(bytes: Uint8Array, ...options: unknown[]): RgbaImage | null;
}

/** The default export of a package's `codec/dec/*.js`, which come without types. */
type Factory = (overrides: Record<string, unknown>) => Promise<Codec>;

/** A codec with its memory. */
interface CodecInstance {
  readonly codec: Codec;
  readonly module: WebAssembly.Module | undefined;
  /** The lines that the codec printed for the current image. */
  printed: string[];
  /** Restores the initial memory. Returns false if the instance must not be used again. */
  reset(): boolean;
  /** Whether the memory has grown. WebAssembly memory never shrinks. */
  hasGrown(): boolean;
  /** Bytes by which the memory may grow. */
  maxGrowth: number;
}

/** Idle instances by module, after a reset. */
const resetInstances = new WeakMap<WebAssembly.Module, CodecInstance>();
/** Idle instances by module, with the memory of earlier images. */
const reusedInstances = new WeakMap<WebAssembly.Module, CodecInstance>();
const instantiatedModules = new WeakSet<WebAssembly.Module>();
/**
 * Resets before an instance is discarded. After each reset, Emscripten's glue code registers some
 * functions again, because the memory no longer says that they are registered.
 */
const maxResets = 256;

/** One image to decode, and the codec for it. */
interface CodecJob {
  readonly format: "JPEG" | "WebP";
  /** Imports the package's factory. */
  readonly loadFactory: () => Promise<{ default: unknown }>;
  /** Imports the binary. Not called if `module` is set. */
  readonly loadModule: () => Promise<{ default: WebAssembly.Module }>;
  /** The compiled codec, if the caller passed one. */
  readonly module: WebAssembly.Module | undefined;
  /** Whether the codec may keep the memory of earlier images. */
  readonly reuse: boolean;
  /** Bytes by which the codec's memory may grow. */
  readonly memory: number;
  readonly bytes: Uint8Array;
  /** Further arguments of the codec's `decode()`. */
  readonly options?: readonly unknown[];
  /** The file's name in errors. */
  readonly name: string;
}

/** Decodes one image. Also returns the lines that the codec printed. */
export async function runCodec(job: CodecJob): Promise<{ image: RgbImage; printed: string[] }> {
  const { bytes, options = [], format, name, reuse } = job;
  const instance = await getInstance(job).catch((cause) => {
    throw new CodecError(name, loadFailure(job, cause), { cause });
  });
  instance.maxGrowth = job.memory;
  const { codec, printed } = instance;
  let rgba: RgbaImage | null = null, cause: unknown;
  try {
    // the codec refuses arrays from another realm, as of a test in jsdom or of a frame
    const own = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    rgba = withGlobals(() => codec.decode(own, ...options));
  } catch (error) {
    cause = error; // "exit(1)" or a trap: the line printed before says more
  }
  if (!rgba) {
    const reason = printed.at(-1) ?? (cause ? reasonOf(cause) : "its data is invalid");
    throw new FileError(name, `the ${format} cannot be decoded: ${reason}`, { cause });
  }
  const image = dropAlpha(rgba);
  const { module } = instance;
  if (module && reuse) {
    if (printed.length === 0 && !instance.hasGrown()) reusedInstances.set(module, instance);
  } else if (module && instance.reset()) resetInstances.set(module, instance);
  return { image, printed };
}

/**
 * Drops the alpha channel like `fromRgba()`, but in place: the pixels are the codec's copy, and large
 * images should not need another.
 */
function dropAlpha({ width, height, data }: RgbaImage): RgbImage {
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    data[to] = data[from];
    data[to + 1] = data[from + 1];
    data[to + 2] = data[from + 2];
  }
  const rgb = new Uint8Array(data.buffer, data.byteOffset, width * height * 3);
  markOwned(rgb);
  return { width, height, data: rgb };
}

/**
 * Why the codec cannot be loaded. In a project with a package.json, or with "nodeModulesDir":
 * "manual", Deno only uses packages from node_modules.
 */
function loadFailure({ format, module }: CodecJob, error: { readonly code?: unknown }): string {
  const reason = reasonOf(error);
  const [missing] = error.code === "ERR_MODULE_NOT_FOUND"
    ? /npm:@[^@]+@[\d.]+/.exec(reason) ?? []
    : [];
  const from = module ? " from the module in the option `codecs`" : "";
  if (!missing) return `the ${format} codec cannot be loaded${from}: ${reason}`;
  return `the ${format} codec is not installed in this project; run "deno add ${missing}", or set ` +
    `"nodeModulesDir": "auto" in deno.json. PNG images, pixels (fromRgba) and your own decoder ` +
    `(the "codecs" option) work without it`;
}

/** Stands for `ImageData`, as which the codecs return pixels: runtimes without web pages may lack it. */
class Pixels {
  constructor(
    readonly data: Uint8ClampedArray,
    readonly width: number,
    readonly height: number,
  ) {}
}

/** Takes an idle instance, or makes a new one. */
async function getInstance(job: CodecJob): Promise<CodecInstance> {
  const factory = (await job.loadFactory()).default as Factory;
  const module = job.module ?? await job.loadModule().then(
    (loaded) => loaded.default,
    (error) => {
      if (!(error instanceof SyntaxError)) throw error;
      return undefined; // no source phase imports here: the factory fetches the binary itself
    },
  );
  return module && takeIdle(module, job) || await makeInstance(factory, module, job);
}

/** Takes an idle instance, which nobody else gets until it has decoded this image. */
function takeIdle(module: WebAssembly.Module, { reuse }: CodecJob): CodecInstance | undefined {
  const idleInstances = reuse ? reusedInstances : resetInstances;
  const idle = idleInstances.get(module);
  if (!idle) return undefined;
  idleInstances.delete(module);
  idle.printed = [];
  return idle;
}

/** Makes an instance, which can be reset if it will be kept. */
async function makeInstance(
  factory: Factory,
  module: WebAssembly.Module | undefined,
  job: CodecJob,
): Promise<CodecInstance> {
  let result: CodecInstance | undefined;
  const print = (line: string) => void result?.printed.push(line);
  let instance: WebAssembly.Instance | undefined;
  const codec = await withGlobals(() =>
    factory({
      noInitialRun: true,
      print,
      printErr: print,
      instantiateWasm: module &&
        ((imports: WebAssembly.Imports, done: (i: WebAssembly.Instance) => void) => {
          instance = new WebAssembly.Instance(module, imports);
          done(instance);
          return instance.exports;
        }),
    })
  );
  const memory = instance && memoryOf(instance), buffer = memory?.buffer;
  if (memory) limitGrowth(memory, () => result!.maxGrowth);
  const hasGrown = () => memory?.buffer !== buffer;
  const keep = module && !job.reuse && (job.module || instantiatedModules.has(module));
  const reset = keep && memory ? memoryReset(memory, job.module !== undefined) : () => false;
  if (module) instantiatedModules.add(module);
  return result = { codec, module, printed: [], maxGrowth: 0, reset, hasGrown };
}

/**
 * Calls a factory or its codec with replaced globals. Only pages have `ImageData`, and Deno takes 2 ms
 * to load it. The factory looks at `process` to find out whether it runs in Node; Deno would load Node's
 * modules for that, which takes 30 ms.
 */
function withGlobals<T>(call: () => T): T {
  const values = { ImageData: Pixels, ...("Deno" in globalThis && { process: undefined }) };
  const replaced = Object.entries(values).map(([name, value]) => {
    return { name, value, own: Object.getOwnPropertyDescriptor(globalThis, name) };
  }).filter(({ own }) => own?.configurable !== false);
  for (const { name, value } of replaced) {
    Object.defineProperty(globalThis, name, { value, configurable: true });
  }
  try {
    return call();
  } finally {
    for (const { name, own } of replaced) {
      if (own) Object.defineProperty(globalThis, name, own);
      else Reflect.deleteProperty(globalThis, name);
    }
  }
}

function memoryOf({ exports }: WebAssembly.Instance): WebAssembly.Memory {
  return Object.values(exports).find((value) => value instanceof WebAssembly.Memory)!;
}

/** Makes a memory refuse to grow by more bytes in total. The codec then reports an error. */
function limitGrowth(memory: WebAssembly.Memory, maxGrowth: () => number): void {
  const initial = memory.buffer.byteLength, { grow } = memory;
  memory.grow = (pages) => {
    if (memory.buffer.byteLength + pages * 2 ** 16 > initial + maxGrowth()) {
      throw new RangeError("the image needs more memory than others of its size");
    }
    return grow.call(memory, pages);
  };
}

/**
 * Copies the memory of a new instance and returns a function that restores it.
 *
 * @param sparing Leaves pages untouched that were never used. This saves memory, but it takes longer
 * to find them than to clear all pages.
 */
function memoryReset(memory: WebAssembly.Memory, sparing: boolean): () => boolean {
  const { buffer } = memory;
  const initial = new Uint8Array(buffer).slice(0, usedBytes(buffer));
  let resets = 0;
  return () => {
    if (memory.buffer !== buffer) return false; // grown memory never shrinks
    if (++resets === maxResets) return false;
    const bytes = new Uint8Array(buffer);
    bytes.fill(0, initial.length, sparing ? usedBytes(buffer) : bytes.length);
    bytes.set(initial);
    return true;
  };
}

/** Bytes up to the last non-zero word. */
function usedBytes(buffer: ArrayBufferLike): number {
  const words = new BigUint64Array(buffer);
  let end = words.length;
  while (end > 0 && words[end - 1] === 0n) end--;
  return end * 8;
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0];
}
