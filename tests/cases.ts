/**
 * The conformance cases of tests/cases/: numbers that nobody here wrote. Every JSON file of that
 * folder is read, so a set in the same form is run as soon as it lies there; the form is described
 * in its README.
 */

import { elements, type Shape } from "../src/tensor.ts";

/** A tensor of a case. */
export interface CaseTensor {
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** What an operation is given besides tensors; which of them depends on the operation. */
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
}

/** One call and what comes out of it. */
export interface Case {
  readonly id: string;
  readonly op: string;
  readonly attrs: Partial<Attributes>;
  /** x, w, b, dy, … */
  readonly inputs: Readonly<Record<string, CaseTensor>>;
  /** y, indices, loss, dx, dw, db */
  readonly expected: Readonly<Record<string, CaseTensor>>;
  /** `largest` counts in the tensor's largest magnitude. */
  readonly tol: { readonly abs: number; readonly rel: number; readonly largest?: number };
  /** What libraries disagree on. */
  readonly policy?: string;
}

/** A file of cases. */
export interface CaseSet {
  readonly file: string;
  readonly cases: readonly Case[];
}

/** A call that must throw, in TensorFlow.js's layouts, shapes only. */
export interface RejectCase {
  readonly id: string;
  readonly op: string;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly inputs: Readonly<Record<string, { readonly shape: Shape }>>;
  readonly policy?: string;
}

const folder = new URL("./cases/", import.meta.url);
const MUST_REJECT = "must_reject.json";

/** Every set of the folder, by name. */
export function readCases(): CaseSet[] {
  const files = [...Deno.readDirSync(folder)].map(({ name }) => name);
  return files.filter((name) => name.endsWith(".json") && name !== MUST_REJECT).sort()
    .map((file) => ({ file, cases: parse(file).map((c) => toCase(file, c as RawCase)) }));
}

/** The calls that must throw. */
export function readMustReject(): RejectCase[] {
  return parse(MUST_REJECT) as RejectCase[];
}

/** A tensor as JSON writes it: non-finite values are strings. */
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
  if (format !== 1) throw new Error(`${file}: format ${format}, only 1 is known`);
  return cases;
}

function toCase(file: string, raw: RawCase): Case {
  const read = (tensors: Record<string, RawTensor>) =>
    Object.fromEntries(
      Object.entries(tensors).map(([name, { shape, data }]) => {
        if (data.length !== elements(shape)) {
          throw new Error(`${file}: ${raw.id}: ${name} holds ${data.length} values for [${shape}]`);
        }
        return [name, { shape, data: Float32Array.from(data, Number) }];
      }),
    );
  return { ...raw, inputs: read(raw.inputs), expected: read(raw.expected) };
}
