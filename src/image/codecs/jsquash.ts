/**
 * Running the codecs of jSquash, which Emscripten made.
 *
 * Each picture gets an instance of its own (0.5 ms): memory goes back with it, and one that a
 * hostile file has broken is gone with that file. The packages' own entry points share one instance
 * for ever, which is why they are not used.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { fromRgba, type RgbaImage, type RgbImage } from "../pixels.ts";

/** What the packages' factories make, once they have started. */
interface Codec {
  decode(bytes: Uint8Array, ...options: unknown[]): RgbaImage | null;
}

/** The default export of a package's `codec/dec/*.js`, whose own types are not to be had. */
type Factory = (overrides: Record<string, unknown>) => Promise<Codec>;

/** Which codec, and on what. */
export interface Job {
  readonly format: "JPEG" | "WebP";
  /** Imports the package's factory. */
  readonly loadFactory: () => Promise<{ default: unknown }>;
  /** Imports the binary, unless the caller brings it. */
  readonly loadModule: () => Promise<{ default: WebAssembly.Module }>;
  readonly module: WebAssembly.Module | undefined;
  readonly bytes: Uint8Array;
  readonly options?: readonly unknown[];
  /** The file, for errors. */
  readonly name: string;
}

/** Decodes one picture; also returns the lines that the codec would have printed. */
export async function runCodec(job: Job): Promise<{ image: RgbImage; printed: string[] }> {
  const { bytes, options = [], format, name } = job;
  const printed: string[] = [];
  const codec = await start(job, printed).catch((cause) => {
    throw new FileError(name, `the ${format} codec cannot be loaded: ${reasonOf(cause)}`, {
      cause,
    });
  });
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
  return { image: fromRgba(rgba), printed };
}

async function start(job: Job, printed: string[]): Promise<Codec> {
  const factory = (await job.loadFactory()).default as Factory;
  const module = job.module ?? await job.loadModule().then(
    (loaded) => loaded.default,
    (error) => {
      if (!(error instanceof SyntaxError)) throw error;
      return undefined; // no source phase imports here: the factory fetches the file beside it
    },
  );
  const print = (line: string) => void printed.push(line);
  return await factory({
    noInitialRun: true,
    print,
    printErr: print,
    instantiateWasm: module &&
      ((imports: WebAssembly.Imports, done: (i: WebAssembly.Instance) => void) => {
        const instance = new WebAssembly.Instance(module, imports);
        done(instance);
        return instance.exports;
      }),
  });
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0];
}
