/** Calls with arguments that only plain JavaScript can pass, and what they may and may not do. */

import { WasmBackend } from "../../src/backend/wasm.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import { Tensor, type Values } from "../../src/tensor.ts";
import { assert, assertEquals, assertRejects } from "../assert.ts";

/** A call with valid arguments, each of which is replaced by every hostile value. */
export type Call = readonly [
  name: string,
  // deno-lint-ignore no-explicit-any
  call: (...args: any[]) => unknown,
  args: readonly unknown[],
];

/** Tensors that no call may use. */
interface Misfits {
  readonly foreign: Tensor;
  readonly disposed: Tensor;
  readonly indices: Tensor<Values>;
  readonly other: Tensor;
}

function hostileValues({ foreign, disposed, indices, other }: Misfits): unknown[] {
  const numbers = [NaN, -1, 0, 1.5, 2 ** 31, 2 ** 53, Infinity, -Infinity, 3, -0, 2 ** 29 + 1];
  const lists = [[], [NaN], [-1], [[1]], [2, 2], [1, 1, 1, 1, 1], [2 ** 31, 2 ** 31], Array(4)];
  const tensors = [foreign, disposed, indices, other];
  const rest = [undefined, null, true, "3", "", "same", {}, () => 1, Symbol("s"), 10n, new Date(0)];
  return [...numbers, ...lists, ...tensors, ...rest, new Float32Array(3), new BigInt64Array(4)];
}

/** A plain object: options, whose members are replaced as well. */
function isOptions(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" &&
    Object.getPrototypeOf(value) === Object.prototype;
}

/** The argument lists with one argument, or one member of an option, replaced. */
function* variants(args: readonly unknown[], values: readonly unknown[]) {
  for (const [i, argument] of args.entries()) {
    for (const value of values) yield args.with(i, value);
    if (!isOptions(argument)) continue;
    for (const key of Object.keys(argument)) {
      for (const value of values) yield args.with(i, { ...argument, [key]: value });
    }
  }
  yield [];
}

/** Disposes of what a call returned, unless that is one of its arguments. */
function disposeResult(result: unknown, args: readonly unknown[]): void {
  if (args.includes(result)) return;
  if (result instanceof Tensor) return result.dispose();
  if (isOptions(result)) { for (const value of Object.values(result)) disposeResult(value, args); }
  else (result as Disposable | undefined)?.[Symbol.dispose]?.();
}

/** Checks that a call refuses an option of another name, which it would ignore. */
async function refusesOtherNames(name: string, call: Call[1], args: readonly unknown[]) {
  const options = args.at(-1) as Record<string, unknown>;
  const other = args.with(-1, { ...options, paddding: 1 });
  const message = 'an option is "paddding", must be one of: ';
  await assertRejects(async () => await call(...other), ArgumentError, message, name);
  disposeResult(await call(...args.with(-1, { ...options, paddding: undefined })), args);
}

function describe(args: readonly unknown[]): string {
  return args.map((arg) => {
    if (arg instanceof Tensor) return `tensor [${arg.shape}] ${arg.type.name}`;
    if (isOptions(arg)) {
      return `{ ${Object.entries(arg).map(([k, v]) => `${k}: ${describe([v])}`)} }`;
    }
    return typeof arg === "symbol" ? "symbol" : `${typeof arg} ${String(arg)}`;
  }).join(", ");
}

/**
 * Checks that each call with a hostile argument throws a {@linkcode PembrokeError} or succeeds,
 * that it leaks nothing, and that it leaves all other tensors alone. The last argument may be
 * options: the call must refuse other names in it.
 *
 * @param kept The tensors that are passed; only those named as `out` or `into` may change.
 * @returns The calls that succeeded.
 */
export async function checkHostile(
  backend: WasmBackend,
  calls: readonly Call[],
  kept: readonly Tensor<Values>[],
): Promise<string[]> {
  using elsewhere = new WasmBackend();
  using foreign = elsewhere.upload([1, 2, 3, 4], [1, 1, 2, 2]);
  using indices = backend.uploadIndices(Int32Array.of(0, 0, 0, 0), [1, 1, 2, 2]);
  using other = backend.upload([1, 2, 3, 4, 5, 6], [6]);
  const disposed = backend.upload([1], [1, 1, 1, 1]);
  disposed.dispose();
  const values = hostileValues({ foreign, disposed, indices, other });
  const watched = [foreign, indices, other, ...kept];
  const before = await Promise.all(watched.map((tensor) => tensor.read()));
  const bytes = backend.bytesInUse, succeeded: string[] = [], wrong: string[] = [];
  for (const [name, call, args] of calls) {
    for (const variant of variants(args, values)) {
      const what = `${name}(${describe(variant)})`;
      try {
        disposeResult(await call(...variant), variant);
        succeeded.push(what);
      } catch (error) {
        if (!(error instanceof PembrokeError)) wrong.push(`${what}: ${error}`);
        else assertEquals(error.message.split("\n").length, 1, what);
      }
      if (backend.bytesInUse !== bytes) {
        throw new Error(`${what}: ${backend.bytesInUse - bytes} bytes leaked`);
      }
    }
    if (isOptions(args.at(-1))) await refusesOtherNames(name, call, args);
    for (const [i, tensor] of watched.entries()) {
      assertEquals(await tensor.read(), before[i], `${name} changed tensor [${tensor.shape}]`);
    }
  }
  assert(wrong.length === 0, `${wrong.length} untyped errors:\n${wrong.slice(0, 400).join("\n")}`);
  return succeeded;
}
