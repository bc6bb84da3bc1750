import { assertEquals, assertThrows } from "../tests/assert.ts";
import { exportsModule, exportsOf } from "./exports.ts";
import { geometryModule } from "./geometry.ts";

const source = `// Blocks.

/** Sizes. */
@unmanaged
export class SizeGeometry {
  /** Samples. */
  n: i32;

  /** Twice as many. */
  @inline
  get twice(): i32 {
    return this.n * 2;
  }
}

/** One step. */
@unmanaged
export class StepGeometry extends SizeGeometry {
  /** Rate. */
  lr: f32;
  /** The first one. */
  first: Flag;
  /** The way. */
  way: WayKind;
}

/** Ways. */
export enum WayKind {
  /** Forward. */
  there,
  /** Backward. */
  back,
}
`;

Deno.test("geometryModule() declares each class with a writer, and each enum with its codes", () => {
  assertEquals(
    geometryModule(new Map([["assembly/geometry.ts", source]])),
    `// Made by \`deno task build\` from assembly/geometry.ts.

type Integers = Int32Array<ArrayBufferLike>;
type Floats = Float32Array<ArrayBufferLike>;

/** Bytes of the largest block. */
export const blockBytes = 16;

/** Sizes. */
export interface SizeGeometry {
  /** Samples. */
  readonly n: number;
}

/** Writes a {@linkcode SizeGeometry}. */
export function writeSize(integers: Integers, _floats: Floats, g: SizeGeometry): void {
  integers[0] = g.n;
}

/** One step. */
export interface StepGeometry extends SizeGeometry {
  /** Rate. */
  readonly lr: number;
  /** The first one. */
  readonly first: boolean;
  /** The way. */
  readonly way: WayKind;
}

/** Writes a {@linkcode StepGeometry}. */
export function writeStep(integers: Integers, floats: Floats, g: StepGeometry): void {
  integers[0] = g.n;
  floats[1] = g.lr;
  integers[2] = Number(g.first);
  integers[3] = wayKindCodes[g.way];
}

/** The codes of {@linkcode WayKind}. */
export const wayKindCodes = {
  /** Forward. */
  there: 0,
  /** Backward. */
  back: 1,
} as const;

/** Ways. */
export type WayKind = keyof typeof wayKindCodes;
`,
  );
});

Deno.test("geometryModule() rejects lines that are not four-byte fields", () => {
  for (
    const line of ["  n: i64;", "  n: bool;", "  n: i32 = 1;", "  double(): i32 {", "  n: Way;"]
  ) {
    const changed = source.replace("  n: i32;", line);
    assertThrows(
      () => geometryModule(new Map([["assembly/geometry.ts", changed]])),
      Error,
      "assembly/geometry.ts:7: not a four-byte",
    );
  }
});

/** A module in text format: `conv` shares its work in a function that it calls, `size` does not. */
const module = (parameters: string) =>
  `(module
 (export "size" (func $a/size))
 (export "conv" (func $a/conv))
 (func $a/size (param $g i32) (result f64)
  (call $a/round)
 )
 (func $a/round
 )
 (func $a/conv ${parameters}
  (call $a/part
   (local.get $y)
  )
 )
 (func $a/part (param $y i32)
  (call $a/part)
  (drop (call $threads/claim))
 )
)`;

Deno.test("exportsModule() lists the kernels that share their work among threads", () => {
  const text = module("(param $y i32) (param $eps f32)");
  assertEquals([...exportsOf(text)], [["size", "a/size"], ["conv", "a/conv"]]);
  assertEquals(
    exportsModule(text),
    `// Made by \`deno task build\` from assembly/.

/** What the binaries export. */
export const kernels = [
  "conv",
  "size",
] as const;

/** The kernels that hand out their work to threads. */
export const sharedKernels = [
  "conv",
] as const;

/** The most parameters that an exported function may have. */
export const maxArguments = 8;

/** The functions of an instance. Tensors, scratch memory and blocks are addresses. */
export interface Exports {
  conv(y: number, eps: number): void;
  size(g: number): number;
}
`,
  );
});

Deno.test("exportsModule() rejects a function with nine parameters", () => {
  const parameters = Array.from({ length: 9 }, (_, i) => `(param $p${i} i32)`).join(" ");
  assertThrows(() => exportsModule(module(parameters)), Error, "a/conv takes 9 parameters");
});
