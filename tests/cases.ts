/**
 * Reads the conformance cases in tests/cases/, whose numbers come from other libraries. Every JSON
 * file in that folder is read. The README there describes the format.
 */

import { elements, type Shape } from "../src/tensor.ts";

/** An input or expected output of a case. */
export interface CaseTensor {
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** Arguments other than tensors. Each operation uses some of them. */
export interface Attributes {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly pads: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
  readonly ceilMode: boolean;
  readonly countIncludePad: boolean;
  readonly divisorOverride: number;
  readonly axis: number;
  readonly size: number;
  readonly alpha: number;
  readonly beta: number;
  readonly k: number;
  readonly eps: number;
  readonly outputSize: readonly number[];
  readonly targets: readonly number[];
  readonly labelSmoothing: number;
  readonly dims: readonly number[];
  readonly start: number;
  readonly end: number;
  readonly step: number;
  readonly value: number;
  readonly shape: readonly number[];
  readonly mode: string;
  readonly outputPadding: readonly number[];
  readonly scales: readonly number[];
  readonly alignCorners: boolean;
  readonly recomputeScaleFactor: boolean;
  readonly name: string;
  readonly args: readonly (number | string)[];
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** A call and its expected results. */
export interface Case {
  readonly id: string;
  readonly op: string;
  readonly attrs: Partial<Attributes>;
  /** x, w, b, dy, … */
  readonly inputs: Readonly<Record<string, CaseTensor>>;
  /** y, indices, loss, dx, dw, db */
  readonly expected: Readonly<Record<string, CaseTensor>>;
  /** Tolerances: absolute, relative, and relative to the tensor's largest magnitude. */
  readonly tol: { readonly abs: number; readonly rel: number; readonly largest?: number };
  /** The convention that the case depends on, if libraries disagree. */
  readonly policy?: string;
}

/** A file of cases. */
export interface CaseSet {
  readonly file: string;
  readonly cases: readonly Case[];
}

/** A call that must throw. Only shapes, in TensorFlow.js's layouts. */
export interface RejectCase {
  readonly id: string;
  readonly op: string;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly inputs: Readonly<Record<string, { readonly shape: Shape }>>;
  readonly policy?: string;
}

const folder = new URL("./cases/", import.meta.url);
const rejectFile = "must_reject.json";

/** Reads all sets of cases, sorted by name. */
export function readCases(): CaseSet[] {
  const files = [...Deno.readDirSync(folder)].map(({ name }) => name);
  return files.filter((name) => name.endsWith(".json") && name !== rejectFile).sort()
    .map((file) => ({ file, cases: parse(file).map((c) => toCase(file, c as RawCase)) }));
}

/** Reads the calls that must throw. */
export function readMustReject(): RejectCase[] {
  return parse(rejectFile) as RejectCase[];
}

/** A tensor in JSON. Non-finite values are strings. */
interface RawTensor {
  readonly shape: Shape;
  readonly data: readonly (number | "NaN" | "Infinity" | "-Infinity")[];
}

interface RawCase extends Omit<Case, "inputs" | "expected"> {
  readonly inputs: Record<string, RawTensor>;
  readonly expected: Record<string, RawTensor>;
}

function parse(file: string): unknown[] {
  const { format, cases } = JSON.parse(Deno.readTextFileSync(new URL(file, folder)));
  if (format !== 1) throw new Error(`${file}: unknown format ${format}, expected 1`);
  return cases;
}

function toCase(file: string, raw: RawCase): Case {
  const read = (tensors: Record<string, RawTensor>) =>
    Object.fromEntries(
      Object.entries(tensors).map(([name, { shape, data }]) => {
        if (data.length !== elements(shape)) {
          throw new Error(`${file}: ${raw.id}: ${name} has ${data.length} values for [${shape}]`);
        }
        return [name, { shape, data: Float32Array.from(data, Number) }];
      }),
    );
  return { ...raw, inputs: read(raw.inputs), expected: read(raw.expected) };
}
