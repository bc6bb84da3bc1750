/**
 * Turns the WGSL text of an operation into a whole program, by declaring its operands, uniforms and
 * constants in front of it.
 *
 * @module
 */

import type { PooledBuffer } from "./buffers.ts";

/** WGSL that uses its operands, uniforms and constants by name; `main` is the entry point. */
export interface Shader {
  /** Its name, unique among all shaders. */
  readonly name: string;
  /** The WGSL. */
  readonly text: string;
}

/** An array in a buffer that a shader reads or writes. */
export interface Operand {
  readonly block: PooledBuffer;
  readonly writes: boolean;
  /** The WGSL type of its elements. */
  readonly type: string;
  /** Its first byte in the buffer. Default: 0. */
  readonly offset?: number;
  /** Its size in bytes. */
  readonly size: number;
}

/** The operands of a shader by name. */
export type Operands = Readonly<Record<string, Operand>>;

/** Constants of the program by name. Numbers are integers: WGSL has no literal for every float. */
export type Constants = Readonly<Record<string, number | boolean>>;

/**
 * Numbers that are passed with each call, by name: those that change from call to call, and sizes
 * that are not divided by in inner loops. Each value of a constant compiles another program, which
 * takes up to seconds.
 */
export interface Uniforms {
  /** The fields of type u32. */
  readonly u32?: Readonly<Record<string, number>>;
  /** The fields of type f32. */
  readonly f32?: Readonly<Record<string, number>>;
}

/** How many numbers a call can pass. */
export const maxUniforms = 32;

/**
 * The whole program. An operand that shares the memory of a written one is read through that one,
 * because no two bindings may overlap then.
 */
export function program(
  { text }: Shader,
  operands: Operands,
  constants: Constants,
  uniforms: Uniforms | undefined,
): string {
  const distinct = Object.entries(distinctOperands(operands));
  const declared = distinct.map(([name, { writes, type }], i) =>
    `@group(0) @binding(${i}) var<storage, ${
      writes ? "read_write" : "read"
    }> ${name}: array<${type}>;`
  );
  if (uniforms) {
    const { u32 = {}, f32 = {} } = uniforms;
    const fields = [
      ...Object.keys(u32).map((name) => `${name}: u32`),
      ...Object.keys(f32).map((name) => `${name}: f32`),
    ];
    declared.push(`struct Uniforms { ${fields.join(", ")} }`);
    declared.push(`@group(0) @binding(${distinct.length}) var<uniform> uniforms: Uniforms;`);
  }
  const declaredConstants = Object.entries(constants).map(([name, value]) =>
    `const ${name} = ${value};`
  );
  const half = distinct.some(([, { type }]) => type.includes("f16"));
  const enabled = half ? ["enable f16;"] : [];
  return [...enabled, ...declared, ...declaredConstants, inPlace(text, operands)].join("\n");
}

/** The operands that get a binding: all but those that share the memory of a written one. */
export function distinctOperands(
  operands: Operands,
): Record<string, Operand> {
  const entries = Object.entries(operands);
  const kept = entries.filter(([name, operand]) => !writtenAs(name, operand, entries));
  return Object.fromEntries(kept);
}

/** Renames operands that share the memory of a written one to that one. */
function inPlace(text: string, operands: Operands): string {
  const entries = Object.entries(operands);
  for (const [name, operand] of entries) {
    const written = writtenAs(name, operand, entries);
    if (written) text = text.replaceAll(new RegExp(`(?<![.\\w])${name}\\[`, "g"), `${written}[`);
  }
  return text;
}

/** The written operand that shares the memory of this one. */
function writtenAs(
  name: string,
  { block, writes }: Operand,
  entries: readonly [string, Operand][],
): string | undefined {
  if (writes) return undefined;
  return entries.find(([other, o]) => o.writes && o.block === block && other !== name)?.[0];
}
