/**
 * Reads the input of an ONNX graph.
 *
 * @module
 */

import { imagenetPreprocessing } from "../../image/preprocess.ts";
import type { Shape } from "../../tensor.ts";
import { escapeText } from "../../weights/io/quote.ts";
import type { OnnxPort } from "../../weights/onnx/graph.ts";
import type { OnnxFile } from "../../weights/onnx/reader.ts";
import type { Twice } from "./values.ts";

/** The input of a graph. */
export interface GraphInput {
  readonly name: string;
  /** Its shape, with the first of the batch sizes. */
  readonly shape: Shape;
  /** See {@linkcode Activation.other}. */
  readonly other: Shape;
  /** The two batch sizes that sizes are computed for. */
  readonly batches: Twice<number>;
  /** Whether the file names a batch size. */
  readonly isBatchFixed: boolean;
  /** Whether the file leaves another size open. */
  readonly isSizeOpen: boolean;
  /** Whether the file has integers from 0 to 255 there. */
  readonly isBytes: boolean;
}

/** The axes of images. */
export interface ImageLayout {
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
  /** Whether the channels are the last axis, [N, H, W, C]. */
  readonly isLast: boolean;
}

/** The input of a graph, and the images it takes, if it does. */
export interface ModelInput extends GraphInput {
  readonly image?: ImageLayout;
}

/** TensorProto.DataType of floats; 0 is none. */
const floatTypes = [0, 1, 10, 11, 16];

/** TensorProto.DataType of integers from 0 to 255. */
const byteType = 2;

/** The largest height and width of images, and the length of signals that the file leaves open. */
export const maxSide = 4096;

/**
 * Reads the only input that is not a tensor of the file.
 *
 * @param crop The height of images or the length of signals, if the file leaves it open.
 * @param width The width of images.
 * @throws {FileError} When there is another number of inputs, or its shape is not supported.
 */
export function readInput(
  file: OnnxFile,
  crop?: number,
  width?: number,
): ModelInput {
  const [input, second] = file.graph.inputs.filter(({ name }) => !file.graph.tensors.has(name));
  if (!input) throw file.bad("has no input besides its tensors");
  if (second) {
    throw file.bad(
      `has a second input, ${escapeText(second.name)} ${formatPort(second)}: not supported`,
    );
  }
  if (input.type !== byteType && !floatTypes.includes(input.type)) {
    throw file.bad(
      `its input ${escapeText(input.name)} does not hold floats or uint8: not supported`,
    );
  }
  // Some tools write −1 for any size.
  const sizes = input.shape.map((size) => size === -1 ? undefined : size);
  const [batch, ...others] = sizes, isImage = others.length === 3;
  const isLast = isImage && isColor(others[2]) && !isColor(others[0]);
  const side = crop ?? imagenetPreprocessing.crop, plane = [side, width ?? side];
  const isSignal = others.filter((size) => size === undefined).length === 1;
  const length = isSignal ? crop ?? maxSide : 0;
  const defaults = !isImage ? [length, length] : isLast ? plane : [3, ...plane];
  const given = isImage ? squareOf(others, isLast) : others;
  const shape = given.map((size, axis) => size ?? defaults[axis] ?? 0);
  const [channels, h, w] = isLast ? [shape[2], shape[0], shape[1]] : shape;
  const isValid = shape.every((size) => size > 0) && (batch ?? 1) > 0 &&
    (!isImage || Math.max(h, w) <= maxSide);
  if (!isValid || others.length === 0) {
    throw file.bad(
      `its input is ${formatPort(input)}: the sizes must be positive, those of images at most ` +
        `${maxSide}, and only N, H and W, or the length of signals, may be open`,
    );
  }
  const first = batch ?? 2; // not 1, which would fit any size
  const fixed = [first, ...shape], isSizeOpen = others.includes(undefined);
  // Such multiples can be halved as often.
  const isWidth = (axis: number) => axis === (isLast ? 1 : 2);
  const larger = shape.map((size, axis) =>
    others[axis] === undefined ? (isWidth(axis) ? 8 : 2) * size : size
  );
  return {
    ...{ name: input.name, shape: fixed, other: isSizeOpen ? [first, ...larger] : fixed },
    ...{ batches: [first, first + 1], isBatchFixed: batch !== undefined, isSizeOpen },
    isBytes: input.type === byteType,
    ...(isImage && isColor(channels) && { image: { channels, height: h, width: w, isLast } }),
  };
}

/** If a file names only one side of its images, they are squares. */
function squareOf(others: readonly (number | undefined)[], isLast: boolean) {
  const [h, w] = isLast ? [0, 1] : [1, 2];
  return others.map((size, axis) =>
    axis === h ? size ?? others[w] : axis === w ? size ?? others[h] : size
  );
}

function isColor(size: number | undefined): size is 1 | 3 {
  return size === 1 || size === 3;
}

/** Formats the shape of an input, such as `[any, 3, 224, 224]`. */
function formatPort({ shape }: OnnxPort): string {
  return `[${shape.slice(0, 9).map((size) => size ?? "any").join(", ")}]`;
}
