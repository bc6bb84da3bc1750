/**
 * The tiled product that convolutions and fully connected layers are: what the factors are and
 * where the result goes is up to the operation's own text.
 *
 * @module
 */

import type { Constants, Shader } from "../shader.ts";

/**
 * Rows of sums that an invocation keeps in registers, of 8 columns each: 8, or 16 where loads cost
 * more than registers, or 4 where there is little to compute.
 */
export type TileRows = 4 | 8 | 16;

/** An operation's shader for each height of tiles. */
export type Tiled = Readonly<Record<TileRows, Shader>>;

/**
 * Σₖ a(k, m) · b(k, n) for m, n and k below those given, k from `start` on. The operation's text
 * defines, for part z of the grid,
 *
 * - `a4(z, k, m)`: the first factor at m … m + 3, 0 behind the last k;
 * - `columns(z, n)`: what the second factor at n … n + 3 has to know whatever k is, a `Columns`;
 * - `b4(z, k, columns)`: the second factor there, 0 behind the last k;
 * - `put(z, m, n, sum)`, called once for each m and n.
 */
export function tiled(name: string, text: string): Tiled {
  const shader = (rows: TileRows) => ({ name: `${name}${rows}`, text: text + gemm(rows) });
  return { 4: shader(4), 8: shader(8), 16: shader(16) };
}

/**
 * Both factors go through workgroup memory in tiles: TILE_M × DEPTH and DEPTH × TILE_N. Sums are
 * variables of their own, written out here: an array of so many would not be kept in registers.
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

  for (var k0 = given.start; k0 < given.k; k0 += DEPTH) {
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
  if (m >= given.m) { return; }
  for (var i = 0u; i < min(${2 * rows}u, (given.m - m) * 2); i++) {
    put4(z, m + i / 2, n + i % 2 * 4, sums[i]);
  }
}

fn put4(z: u32, m: u32, n: u32, sums: vec4f) {
  if (n < given.n) { put(z, m, n, sums.x); }
  if (n + 1 < given.n) { put(z, m, n + 1, sums.y); }
  if (n + 2 < given.n) { put(z, m, n + 2, sums.z); }
  if (n + 3 < given.n) { put(z, m, n + 3, sums.w); }
}
`;
}

/** Depth of the tiles. */
export const DEPTH = 16;
/** Rows of a workgroup's tile; factors filled up with zeros to whole tiles need no checks. */
export const TILE_ROWS = 64;
/** Loops that go on for longer are cut off by Mesa's llvmpipe, and by the watchdogs of some GPUs. */
const MOST_STEPS = 16384;

/** Parts of a long sum that are added to each other. */
export function* stretches(k: number): Generator<{ readonly start: number; readonly k: number }> {
  for (let start = 0; start < k; start += MOST_STEPS) {
    yield { start, k: Math.min(k, start + MOST_STEPS) };
  }
}

/** So few workgroups have more invocations each. */
const FEW_TILES = 4;
/** Invocations of a workgroup in a row, which compute 8 columns each. */
const WIDTH = 8;

/** What a product is told of its sizes, and the workgroups that compute it. */
export function product(most: TileRows, m: number, n: number, k: number, z = 1): {
  readonly rows: TileRows;
  readonly constants: Constants;
  readonly sizes: Readonly<Record<"m" | "n" | "k" | "start", number>>;
  readonly groups: readonly [number, number, number];
} {
  const groups = [Math.ceil(n / (8 * WIDTH)), Math.ceil(m / TILE_ROWS), z] as const;
  const rows = groups[0] * groups[1] * z <= FEW_TILES ? 4 : most;
  return {
    rows,
    constants: { DEPTH, WIDTH, HEIGHT: TILE_ROWS / rows },
    sizes: { m, n, k, start: 0 },
    groups,
  };
}
