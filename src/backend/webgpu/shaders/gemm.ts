/**
 * The tiled matrix product behind convolutions and fully connected layers. Each operation adds WGSL that
 * reads the factors and stores the result.
 *
 * @module
 */

import type { Constants, Shader } from "../shader.ts";

/**
 * Rows of sums that an invocation keeps in registers, 8 columns each: 8 as a rule, 16 if loads are
 * expensive, 4 for small products.
 */
export type TileRows = 4 | 8 | 16;

/** The shaders of an operation, by rows of sums. */
export type Tiled = Readonly<Record<TileRows, Shader>>;

/**
 * Shaders for Σₖ a(k, m) · b(k, n), k from `start` on, with the sizes m, n and k as uniforms. The text of
 * the operation defines, for layer z of the grid,
 *
 * - `a4(z, k, m)`: the first factor at m … m + 3, 0 behind the last k;
 * - `columns(z, n)`: a `Columns` with what does not depend on k for the second factor at n … n + 3;
 * - `b4(z, k, columns)`: the second factor there, 0 behind the last k;
 * - `put(z, m, n, sum)`, which stores a result; called once for each m and n.
 */
export function tiled(name: string, text: string): Tiled {
  const shader = (rows: TileRows) => ({ name: `${name}${rows}`, text: text + gemm(rows) });
  return { 4: shader(4), 8: shader(8), 16: shader(16) };
}

/**
 * Copies both factors to workgroup memory in tiles, TILE_M × DEPTH and DEPTH × TILE_N. Each sum is a
 * variable of its own, because compilers do not keep so large an array in registers.
 */
function gemm(rows: TileRows): string {
  const all = Array.from({ length: rows }, (_, r) => r);
  const lines = (line: (r: number) => string) => all.map(line).join("\n");
  return /* wgsl */ `
const LANES = WIDTH * HEIGHT;
const TILE_M = HEIGHT * ${rows};
const TILE_N = WIDTH * 8;
// vec4f in a row of each tile
const ROW_A = TILE_M / 4;
const ROW_B = TILE_N / 4;

var<workgroup> aTile: array<vec4f, DEPTH * ROW_A>;
var<workgroup> bTile: array<vec4f, DEPTH * ROW_B>;

@compute @workgroup_size(WIDTH, HEIGHT)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) at: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let z = group.z;
  let m0 = group.y * TILE_M;
  let n0 = group.x * TILE_N;
  let own = columns(z, n0 + lane % ROW_B * 4);
${lines((r) => `  var left${r} = vec4f();\n  var right${r} = vec4f();`)}

  for (var k0 = uniforms.start; k0 < uniforms.k; k0 += DEPTH) {
    for (var i = lane; i < DEPTH * ROW_A; i += LANES) {
      aTile[i] = a4(z, k0 + i / ROW_A, m0 + i % ROW_A * 4);
    }
    for (var i = lane; i < DEPTH * ROW_B; i += LANES) {
      bTile[i] = b4(z, k0 + i / ROW_B, own);
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      let left = bTile[k * ROW_B + at.x * 2];
      let right = bTile[k * ROW_B + at.x * 2 + 1];
      let a = k * ROW_A + at.y * ${rows / 4};
${
    lines((r) =>
      (r % 4 === 0 ? `      let a${r / 4} = aTile[a + ${r / 4}];\n` : "") +
      `      left${r} += a${Math.floor(r / 4)}[${r % 4}] * left;\n` +
      `      right${r} += a${Math.floor(r / 4)}[${r % 4}] * right;`
    )
  }
    }
    workgroupBarrier();
  }

  var sums: array<vec4f, ${2 * rows}>;
${lines((r) => `  sums[${2 * r}] = left${r};\n  sums[${2 * r + 1}] = right${r};`)}
  let m = m0 + at.y * ${rows};
  let n = n0 + at.x * 8;
  if (m >= uniforms.m) { return; }
  for (var i = 0u; i < min(${2 * rows}u, (uniforms.m - m) * 2); i++) {
    put4(z, m + i / 2, n + i % 2 * 4, sums[i]);
  }
}

fn put4(z: u32, m: u32, n: u32, sums: vec4f) {
  if (n < uniforms.n) { put(z, m, n, sums.x); }
  if (n + 1 < uniforms.n) { put(z, m, n + 1, sums.y); }
  if (n + 2 < uniforms.n) { put(z, m, n + 2, sums.z); }
  if (n + 3 < uniforms.n) { put(z, m, n + 3, sums.w); }
}
`;
}

/** Depth of the tiles. */
export const DEPTH = 16;
/** Rows of a workgroup's tile. Factors padded with zeros to whole tiles need no bounds checks. */
export const TILE_ROWS = 64;
/** Longer loops are cut off by Mesa's llvmpipe, and by the watchdogs of some GPUs. */
const MAX_STEPS = 16384;

/** Splits a long sum into chunks, which are dispatched one after the other. */
export function* chunks(k: number): Generator<{ readonly start: number; readonly k: number }> {
  for (let start = 0; start < k; start += MAX_STEPS) {
    yield { start, k: Math.min(k, start + MAX_STEPS) };
  }
}

/** Up to so many workgroups get more invocations each. */
const FEW_TILES = 4;
/** Invocations in a row of a workgroup. Each computes 8 columns. */
const WIDTH = 8;

/** The shader, constants, uniforms and grid for a product of this size. */
export function product(maxRows: TileRows, m: number, n: number, k: number, z = 1): {
  readonly rows: TileRows;
  readonly constants: Constants;
  readonly sizes: Readonly<Record<"m" | "n" | "k" | "start", number>>;
  readonly groups: readonly [number, number, number];
} {
  const groups = [Math.ceil(n / (8 * WIDTH)), Math.ceil(m / TILE_ROWS), z] as const;
  const rows = groups[0] * groups[1] * z <= FEW_TILES ? 4 : maxRows;
  return {
    rows,
    constants: { DEPTH, WIDTH, HEIGHT: TILE_ROWS / rows },
    sizes: { m, n, k, start: 0 },
    groups,
  };
}
