/**
 * From an operation's WGSL text to a whole program: its operands and sizes are declared in front
 * of it.
 *
 * @module
 */

import type { Block } from "./buffers.ts";

/** A text in WGSL that finds its operands and sizes under their names; `main` is the entry point. */
export interface Shader {
  /** Its name; no other text has it. */
  readonly name: string;
  /** The text. */
  readonly text: string;
}

/** An array that a shader reads or writes. */
export interface Operand {
  readonly block: Block;
  readonly writes: boolean;
  /** What it is an array of. */
  readonly type: string;
  /** Where it begins in the block, in bytes; at the first unless given. */
  readonly offset?: number;
  /** Its size in bytes. */
  readonly size: number;
}

/** Numbers that are constants of the program; those that are no integers are given as WGSL. */
export type Constants = Readonly<Record<string, number | boolean | string>>;

/**
 * Numbers that are handed in with each call, by name: what changes from call to call, and sizes that
 * no index is divided by for every value. Constants would make a program of each.
 */
export interface Given {
  /** What the text knows as u32. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** What it knows as f32. */
  readonly numbers?: Readonly<Record<string, number>>;
}

/** How many numbers can be given. */
export const MOST_GIVEN = 16;

/** A float as WGSL writes it. */
export function float(value: number): string {
  const text = String(Math.fround(value));
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/** The whole program, which knows what is `given`. An operand that lies in another's memory is read through that one. */
export function program(
  { text }: Shader,
  operands: Readonly<Record<string, Operand>>,
  constants: Constants,
  given: Given | undefined,
): string {
  const distinct = Object.entries(distinctOperands(operands));
  const declared = distinct.map(([name, { writes, type }], i) =>
    `@group(0) @binding(${i}) var<storage, ${
      writes ? "read_write" : "read"
    }> ${name}: array<${type}>;`
  );
  if (given) {
    const { sizes = {}, numbers = {} } = given;
    const fields = [
      ...Object.keys(sizes).map((name) => `${name}: u32`),
      ...Object.keys(numbers).map((name) => `${name}: f32`),
    ];
    declared.push(`struct Given { ${fields.join(", ")} }`);
    declared.push(`@group(0) @binding(${distinct.length}) var<uniform> given: Given;`);
  }
  const sizes = Object.entries(constants).map(([name, value]) => `const ${name} = ${value};`);
  const half = distinct.some(([, { type }]) => type.includes("f16"));
  const enabled = half ? ["enable f16;"] : [];
  return [...enabled, ...declared, ...sizes, inPlace(text, operands)].join("\n");
}

/** Operands without those that lie in the memory of another that is written: no two may name it. */
export function distinctOperands(
  operands: Readonly<Record<string, Operand>>,
): Record<string, Operand> {
  const entries = Object.entries(operands);
  const kept = entries.filter(([name, operand]) => !writtenAs(name, operand, entries));
  return Object.fromEntries(kept);
}

/** The text with operands that lie in the memory of a written one under that one's name. */
function inPlace(text: string, operands: Readonly<Record<string, Operand>>): string {
  const entries = Object.entries(operands);
  for (const [name, operand] of entries) {
    const written = writtenAs(name, operand, entries);
    if (written) text = text.replaceAll(new RegExp(`(?<![.\\w])${name}\\[`, "g"), `${written}[`);
  }
  return text;
}

function writtenAs(
  name: string,
  { block, writes }: Operand,
  entries: readonly [string, Operand][],
): string | undefined {
  if (writes) return undefined;
  return entries.find(([other, o]) => o.writes && o.block === block && other !== name)?.[0];
}
