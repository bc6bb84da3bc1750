/**
 * Datasets of images whose classes are folders.
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import { decodeImage, type DecodeOptions } from "../image/decode.ts";
import type { RgbImage } from "../image/pixels.ts";
import { imagenetPreprocessing, preprocess, type Preprocessing } from "../image/preprocess.ts";
import { release } from "../image/release.ts";
import { FollowedLinks } from "../io/followed_links.ts";
import { kindOf } from "../kinds.ts";
import { nodeModule } from "../node.ts";
import { checkObject, checkOptions } from "../options.ts";
import type { RandomGenerator } from "../random.ts";
import type { Shape } from "../tensor.ts";
import type { Dataset } from "./dataset.ts";
import type { Transform } from "./transforms.ts";

/** A labelled image for {@linkcode ImageFolder}, as a file in memory or one that is read when needed. */
export interface ImageFile {
  /** Its name in errors, such as its path in the folder: "ants/1.jpg". */
  readonly name: string;
  /** The name of its class. Default: the first folder in its name, "ants". */
  readonly class?: string;
  /** The bytes of the file, or a function that reads them each time. */
  readonly bytes: Uint8Array | (() => Promise<Uint8Array>);
}

/**
 * Options of {@linkcode ImageFolder}.
 */
export interface ImageFolderOptions {
  /** How images become samples: usually `model.preprocessing`. Default: that of ImageNet. */
  readonly preprocessing?: Preprocessing;
  /**
   * Random changes before the preprocessing, in order: {@linkcode randomResizedCrop} and others. They
   * only apply while a {@linkcode Trainer} reads samples, because that passes a generator.
   */
  readonly transforms?: readonly Transform[];
  /** Options of {@linkcode decodeImage}. */
  readonly decode?: Omit<DecodeOptions, "name">;
}

/**
 * A dataset of images whose classes are folders, `torchvision.datasets.ImageFolder`. The names of the
 * classes are sorted, and so are the images in a class. Images are decoded when they are read.
 *
 * @example Files that a person chose in a page
 * ```ts ignore
 * const files = [...input.files].map((file) => ({
 *   name: file.webkitRelativePath.split("/").slice(1).join("/"), // ants/1.jpg
 *   bytes: async () => new Uint8Array(await file.arrayBuffer()),
 * }));
 * const dataset = new ImageFolder(files, { preprocessing: model.preprocessing });
 * const { accuracy } = await fit(model, dataset);
 * ```
 */
export class ImageFolder implements Dataset {
  /** The names of the classes, sorted. */
  readonly classes: readonly string[];
  /** The images in order, with the index of their class. */
  readonly samples: readonly (ImageFile & { readonly label: number })[];
  /** See {@linkcode Dataset.sampleShape}. */
  readonly sampleShape: Shape;
  readonly #options: ImageFolderOptions;
  readonly #preprocessing: Preprocessing;

  /**
   * Creates a dataset. It reads no image yet.
   *
   * @param files The images.
   * @param options `preprocessing`, usually `model.preprocessing` (default: that of ImageNet);
   * `transforms`, random changes before it, in training only; `decode`, options of
   * {@linkcode decodeImage}.
   * @throws {ArgumentError} When there are no images, or one has no name, class or bytes.
   */
  constructor(files: Iterable<ImageFile>, options: ImageFolderOptions = {}) {
    const op = "ImageFolder", list = Array.from(files, checkFile);
    checkOptions(op, options, ["preprocessing", "transforms", "decode"]);
    if (list.length === 0) throw new ArgumentError(op, "the number of images", 0, "above 0");
    const { transforms = [], preprocessing = imagenetPreprocessing } = options;
    if (!Array.isArray(transforms) || transforms.some((t) => typeof t !== "function")) {
      throw new ArgumentError(op, "transforms", transforms, "a list of functions");
    }
    const { crop, cropWidth = crop, channels, layout } = preprocessing;
    const planes = channels === "gray" ? 1 : 3;
    this.sampleShape = layout === "nhwc" ? [crop, cropWidth, planes] : [planes, crop, cropWidth];
    this.classes = [...new Set(list.map((file) => file.class))].sort();
    const index = new Map(this.classes.map((name, i) => [name, i]));
    const compare = (a: string, b: string) => a < b ? -1 : Number(a > b);
    this.samples = list
      .map((file) => ({ ...file, label: index.get(file.class)! }))
      .sort((a, b) => a.label - b.label || compare(a.name, b.name));
    this.#options = options;
    this.#preprocessing = preprocessing;
  }

  /** Number of images. */
  get length(): number {
    return this.samples.length;
  }

  /**
   * Reads and decodes an image.
   *
   * @throws {FileError} When it cannot be read or decoded.
   * @throws {ArgumentError} When there is no such image.
   */
  async image(index: number): Promise<RgbImage> {
    const sample = this.samples[index], last = this.length - 1;
    if (!sample) throw new ArgumentError("ImageFolder", "index", index, `from 0 to ${last}`);
    const { name, bytes } = sample;
    const read = typeof bytes === "function" ? await bytes() : bytes;
    return await decodeImage(read, { ...this.#options.decode, name });
  }

  /**
   * See {@linkcode Dataset.read}.
   *
   * @throws {FileError} When the image cannot be read or decoded.
   */
  async read(index: number, values: Float32Array, generator?: RandomGenerator): Promise<number> {
    let image = await this.image(index);
    if (generator) {
      for (const transform of this.#options.transforms ?? []) image = transform(image, generator);
    }
    const sample = preprocess(image, this.#preprocessing);
    values.set(sample);
    release(sample);
    return this.samples[index].label;
  }
}

/** Checks an image, and completes its class. */
function checkFile(file: ImageFile): Required<ImageFile> {
  const op = "ImageFolder";
  checkObject(op, "an image", file);
  const { name, bytes } = file;
  if (typeof name !== "string") throw new ArgumentError(op, "the name of an image", name, "a text");
  const folder = /^([^/\\]+)[/\\]/.exec(name)?.[1], named = file.class ?? folder;
  if (typeof named !== "string" || named === "") {
    const expected = "a text, or the first folder in its name";
    throw new ArgumentError(op, `the class of ${name}`, named, expected);
  }
  if (typeof bytes !== "function" && kindOf(bytes) !== "Uint8Array") {
    throw new ArgumentError(op, `the bytes of ${name}`, bytes, "a Uint8Array or a function");
  }
  return { name, class: named, bytes };
}

/** The names of files that may be images. */
const imageName = /\.(jpe?g|jpe|jfif|mpo|a?png|webp|gif|bmp)$/i;

/** The part of `node:fs/promises` that is used here. */
interface NodeFolders {
  readdir(path: string, options: { withFileTypes: true }): Promise<FolderEntry[]>;
  stat(path: string): Promise<{ isDirectory(): boolean; isFile(): boolean }>;
  realpath(path: string): Promise<string>;
  readFile(path: string): Promise<Uint8Array>;
}

/** What a folder contains. */
interface FolderEntry {
  readonly name: string;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

/**
 * Finds the images in a folder on disk, in Deno, Node and Bun: its subfolders are the classes. Names
 * that start with a dot are skipped, and files without the extension of an image format. Links to
 * folders are followed, each folder once. Links that lead nowhere are skipped. Deno needs
 * `--allow-read`.
 *
 * @param path The folder.
 * @param options Those of {@linkcode ImageFolder}.
 * @throws {FileError} When a folder cannot be read, or there are no images.
 * @throws {ArgumentError} When the path is empty, or the runtime has no files.
 *
 * @example
 * ```ts ignore
 * const dataset = await readImageFolder("photos", { preprocessing: model.preprocessing });
 * console.log(dataset.classes, dataset.length); // [ "ants", "bees" ] 243
 * ```
 */
export async function readImageFolder(
  path: string,
  options: ImageFolderOptions = {},
): Promise<ImageFolder> {
  const op = "readImageFolder";
  if (typeof path !== "string" || path === "") throw new ArgumentError(op, "path", path, "a path");
  const fs = await nodeModule("node:fs/promises") as NodeFolders | undefined;
  if (!fs) throw new ArgumentError(op, "path", path, "opened in Deno, Node or Bun");
  const files: ImageFile[] = [], root = path.replace(/[/\\]+$/, "") || path;
  for await (const name of imageNames(fs, path, root)) {
    files.push({ name, bytes: () => readFile(fs, `${root}/${name}`) });
  }
  if (files.length === 0) {
    throw new FileError(path, "has no folders with images (JPEG, PNG, WebP, GIF, BMP)");
  }
  return new ImageFolder(files, options);
}

/** Yields the names of the images in the subfolders of a folder: paths from its root. */
async function* imageNames(fs: NodeFolders, path: string, root: string): AsyncGenerator<string> {
  const followed = new FollowedLinks(`${root}/`, (path) => readable(path, fs.realpath(path)));
  const walk = async function* (folder: string): AsyncGenerator<string> {
    const from = `${root}/${folder}`, named = folder === "" ? path : from;
    const entries = await readable(named, fs.readdir(from, { withFileTypes: true }));
    entries.sort((a, b) => a.name < b.name ? -1 : 1);
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      const name = folder === "" ? entry.name : `${folder}/${entry.name}`;
      const place = `${root}/${name}`, isLink = entry.isSymbolicLink();
      const target = isLink ? await readable(place, targetOf(fs, place)) : entry;
      if (target?.isDirectory()) {
        // a linked folder may contain one that was listed before
        const isNew = isLink ? await followed.add(place) : !await followed.has(place);
        if (isNew) yield* walk(name);
      } else if (target && folder !== "" && imageName.test(name)) yield name;
    }
  };
  yield* walk("");
}

/** What a link leads to; undefined if it leads nowhere. */
async function targetOf(
  fs: NodeFolders,
  link: string,
): Promise<{ isDirectory(): boolean } | undefined> {
  try {
    return await fs.stat(link);
  } catch (error) {
    const { code } = error as { readonly code?: string };
    // the target is missing, is the link itself, or is in what is no folder
    if (code === "ENOENT" || code === "ELOOP" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

/** The bytes of a file. A pipe or a device might never end. */
async function readFile(fs: NodeFolders, path: string): Promise<Uint8Array> {
  const info = await readable(path, fs.stat(path));
  if (!info.isFile()) throw new FileError(path, "is not a regular file");
  return await readable(path, fs.readFile(path));
}

/** Waits for a file operation, and names the file in its error. */
async function readable<T>(name: string, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (cause) {
    // Let the caller ask for the missing permission.
    if ((cause as Error)?.name === "NotCapable") throw cause;
    const code = (cause as { readonly code?: string } | null)?.code;
    if (code === "ENOENT") throw new FileError(name, "no such file or folder", { cause });
    if (code === "ENOTDIR") throw new FileError(name, "is not a folder", { cause });
    const reason = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new FileError(name, `cannot be read: ${reason}`, { cause });
  }
}
