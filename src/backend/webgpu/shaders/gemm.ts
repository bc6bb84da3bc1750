/**
 * The tiled matrix product behind convolutions and fully connected layers. Each operation adds WGSL
 * that reads the factors and stores the result.
 *
 * @module
 */

import type { Constants, Shader } from "../shader.ts";

/**
 * Rows of sums that an invocation keeps in registers, 8 columns each: 8 as a rule, 16 if loads are
 * expensive, 4 for small products.
 */
export type TileRows = 4 | LargeTileRows;

/** The rows in tiles of large products, if there are many rows. */
export type LargeTileRows = 8 | 16;

/** The shaders of an operation, by rows of sums. */
export type Tiled = Readonly<Record<TileRows, Shader>>;

/**
 * Shaders for Σₖ a(k, m) · b(k, n), k from `start` on, with the sizes m, n and k and the number of
 * layers as uniforms. The text of the operation defines, for layer z,
 *
 * - `a4(z, k, m)`: the first factor at m … m + 3, 0 behind the last k;
 * - `columns(z, n, k)`: a `Columns` with what it needs for the second factor at n … n + 3, from k on;
 * - `b4(z, k, &columns)`: the second factor there, 0 behind the last k. An invocation calls it for every
 *   STEP-th k in turn, so that it can find the next element without dividing;
 * - `places(z, n)`: where the results of four columns go;
 * - `bias(z, m)`, which is added to a row of results;
 * - `put(z, m, place, sum)`, which stores a result; called once for each m and n.
 */
export function tiled(name: string, text: string): Tiled {
  const shader = (rows: TileRows) => ({ name: `${name}${rows}`, text: text + gemm(rows) });
  return { 4: shader(4), 8: shader(8), 16: shader(16) };
}

/**
 * Copies both factors to workgroup memory in tiles, TILE_M × DEPTH and DEPTH × TILE_N. Each sum is
 * a variable of its own, because compilers do not keep so large an array in registers.
 */
function gemm(rows: TileRows): string {
  const all = Array.from({ length: rows }, (_, r) => r);
  const lines = (line: (r: number) => string) => all.map(line).join("\n");
  return /* wgsl */ `
const LANES = WIDTH * HEIGHT;
const STEP = HEIGHT / 2;
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
  let tile = group.y * GRID_WIDTH + group.x;
  let across = (uniforms.n + TILE_N - 1) / TILE_N;
  let down = (uniforms.m + TILE_M - 1) / TILE_M;
  let z = tile / (across * down);
  if (z >= uniforms.layers) { return; }
  let m0 = tile / across % down * TILE_M;
  let n0 = tile % across * TILE_N;
  var own = columns(z, n0 + lane % ROW_B * 4, uniforms.start + lane / ROW_B);
${lines((r) => `  var left${r} = vec4f();\n  var right${r} = vec4f();`)}

  for (var k0 = uniforms.start; k0 < uniforms.k; k0 += DEPTH) {
    for (var i = lane; i < DEPTH * ROW_A; i += LANES) {
      aTile[i] = a4(z, k0 + i / ROW_A, m0 + i % ROW_A * 4);
    }
    for (var i = lane; i < DEPTH * ROW_B; i += LANES) {
      bTile[i] = b4(z, k0 + i / ROW_B, &own);
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
  let n = n0 + at.x * 8 + vec4u(0, 1, 2, 3);
  if (m >= uniforms.m) { return; }
  let leftPlaces = places(z, n);
  let rightPlaces = places(z, n + 4);
  for (var i = 0u; i < min(${rows}u, uniforms.m - m); i++) {
    let offset = bias(z, m + i);
    put4(z, m + i, leftPlaces, n < vec4u(uniforms.n), sums[2 * i] + offset);
    put4(z, m + i, rightPlaces, n + 4 < vec4u(uniforms.n), sums[2 * i + 1] + offset);
  }
}

fn put4(z: u32, m: u32, at: vec4u, exist: vec4<bool>, sums: vec4f) {
  if (exist.x) { put(z, m, at.x, sums.x); }
  if (exist.y) { put(z, m, at.y, sums.y); }
  if (exist.z) { put(z, m, at.z, sums.z); }
  if (exist.w) { put(z, m, at.w, sums.w); }
}
`;
}

/** WGSL of operations that add nothing to their results. */
export const unbiased = /* wgsl */ `
fn bias(z: u32, m: u32) -> f32 {
  return 0;
}
`;

/** Depth of the tiles. */
const tileDepth = 16;
/** The rows of the largest tile. */
const maxTileRows = 64;

/**
 * The size of a factor [k, m] that is padded with zeros to whole tiles, so that it needs no bounds
 * checks.
 */
export function packedSize(m: number, k: number): { readonly deep: number; readonly wide: number } {
  return {
    deep: Math.ceil(k / tileDepth) * tileDepth,
    wide: Math.ceil(m / maxTileRows) * maxTileRows,
  };
}

/** Longer loops are cut off by Mesa's llvmpipe, and by the watchdogs of some GPUs. */
const maxSteps = 16384;

/** Splits a long sum into chunks, which are dispatched one after the other. */
export function* chunks(k: number): Generator<{ readonly start: number; readonly k: number }> {
  for (let start = 0; start < k; start += maxSteps) {
    yield { start, k: Math.min(k, start + maxSteps) };
  }
}

/** Products of at most this many workgroups get more invocations for each. */
const fewTiles = 4;

/**
 * The shape of a workgroup: `height` invocations with `rows` rows each, `width` with 8 columns
 * each.
 */
interface Shape {
  readonly rows: TileRows;
  readonly width: number;
  readonly height: number;
}

/** For small products. */
const small: Shape = { rows: 4, width: 8, height: 16 };
/** By the rows of most tiles: tiles of 64, 32 and 16 rows. */
const shapes: Readonly<Record<LargeTileRows, readonly Shape[]>> = {
  8: [
    { rows: 8, width: 8, height: 8 },
    { rows: 8, width: 16, height: 4 },
    { rows: 4, width: 16, height: 4 },
  ],
  16: [
    { rows: 16, width: 8, height: 4 },
    { rows: 16, width: 16, height: 2 },
    { rows: 8, width: 16, height: 2 },
  ],
};
/**
 * How much longer a tile of each shape takes for each result, because it loads more of its factors.
 */
const shapeCosts = [1, 1.05, 1.4];

/** The shader, constants, uniforms and workgroups for a product of this size. */
export function product(maxRows: LargeTileRows, m: number, n: number, k: number, layers = 1): {
  readonly rows: TileRows;
  readonly constants: Constants;
  readonly sizes: Readonly<Record<"m" | "n" | "k" | "start" | "layers", number>>;
  readonly workgroups: number;
} {
  const [common] = shapes[maxRows];
  const isSmall = tiles(common, m, n) * layers <= fewTiles;
  const { rows, width, height } = isSmall ? small : bestShape(shapes[maxRows], m, n);
  return {
    rows,
    constants: { DEPTH: tileDepth, WIDTH: width, HEIGHT: height },
    sizes: { m, n, k, start: 0, layers },
    workgroups: tiles({ rows, width, height }, m, n) * layers,
  };
}

/** The shape whose tiles cover the results at the lowest cost. */
function bestShape(shapes: readonly Shape[], m: number, n: number): Shape {
  const costs = shapes.map((shape, i) => {
    const { rows, width, height } = shape;
    return tiles(shape, m, n) * rows * width * height * shapeCosts[i];
  });
  return shapes[costs.indexOf(Math.min(...costs))];
}

/** How many tiles cover n columns and m rows. */
function tiles({ rows, width, height }: Shape, m: number, n: number): number {
  return Math.ceil(n / (8 * width)) * Math.ceil(m / (rows * height));
}
