/**
 * Mutation testing of the kernels: breaks them with one small change at a time, and lists the
 * mutants that survive, because no test detects them:
 *
 *     deno task mutate                 100 mutants, spread over assembly/
 *     deno task mutate 30 winograd     30 mutants of the files whose names contain "winograd"
 *
 * Works in a copy of the repository, and prints a line for each mutant. A mutant that computes the
 * same results survives too, so read the list.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

const root = new URL("../", import.meta.url);

/** Mutations, as pattern and replacement. */
const mutations: readonly (readonly [from: RegExp, to: string])[] = [
  [/ <= /g, " < "],
  [/ < /g, " <= "],
  [/ >= /g, " > "],
  [/ > /g, " >= "],
  [/ \+ /g, " - "],
  [/ - /g, " + "],
  [/ \* /g, " + "],
  [/ \/ /g, " * "],
  [/ % /g, " / "],
  [/ \+= /g, " -= "],
  [/ && /g, " || "],
  [/ == /g, " != "],
  [/ << (\d)/g, " << ($1 + 1)"],
  [/\.add\(/g, ".sub("],
  [/\.sub\(/g, ".add("],
  [/\.mul\(/g, ".add("],
  [/\.max\(/g, ".min("],
];

/** The tests of each kernel; the first match counts. */
const testsOf: readonly (readonly [file: RegExp, tests: readonly string[]])[] = [
  [/winograd/, ["winograd", "conv", "conv_backward", "fused"]],
  [/depthwise|part/, ["conv_depthwise"]],
  [/\bactivate/, ["fused", "elementwise"]],
  [/linear_int8/, ["linear_int8"]],
  [/int8|quantize/, ["conv_int8", "linear_int8"]],
  [/linear/, ["linear", "linear_backward"]],
  [/matmul/, ["matmul", "linear", "linear_backward", "fused"]],
  [/pool|window/, ["pool", "pool_backward", "adaptive_pool"]],
  [/copy/, ["layout"]],
  [/resample/, ["resample"]],
  [/row_norm|sums/, ["row_norm", "adaptive_pool"]],
  [/norm/, ["norm", "norm_backward", "fused"]],
  [/softmax/, ["activation", "activation_backward", "loss"]],
  [/activation|exp/, ["elementwise", "activation", "activation_backward"]],
  [/arithmetic/, ["arithmetic", "elementwise"]],
  [/optimizer/, ["optimizer", "optimizer_goldens"]],
  [/dropout/, ["dropout"]],
  [/threads/, ["threads", "conv"]],
  [/./, ["conv", "conv_backward", "fused", "linear", "pool"]],
];

/** A change at one place in a file. */
interface Mutant {
  readonly file: string;
  readonly line: number;
  readonly before: string;
  readonly after: string;
  readonly source: string;
}

const [count = "100", named = ""] = Deno.args;
const copy = await copyOfRepository();
const survivors: string[] = [];
try {
  // a test that already fails would seem to detect every mutant
  if (!await succeeds("task", "build") || !await passes(["tests/backend"])) {
    throw new Error("the kernels' tests fail before any mutation");
  }
  for (const mutant of selectEvenly(await mutants(), Number(count))) {
    const name =
      `${mutant.file}:${mutant.line}  ${mutant.before.trim()}  →  ${mutant.after.trim()}`;
    const detector = await detect(mutant);
    console.log(`${detector ?? "SURVIVED"}  ${name}`);
    if (!detector) survivors.push(name);
  }
} finally {
  await Deno.remove(copy, { recursive: true });
}
console.log(`${survivors.length} survived`);
survivors.forEach((name) => console.log(`  ${name}`));
if (survivors.length > 0) Deno.exit(1);

/** All mutants of the kernels. */
async function mutants(): Promise<Mutant[]> {
  const found: Mutant[] = [];
  for (const folder of ["assembly/", "assembly/inline/"]) {
    for await (const { name } of Deno.readDir(new URL(folder, root))) {
      if (!name.endsWith(".ts") || !name.includes(named)) continue;
      const file = folder + name;
      found.push(...mutantsOf(file, await Deno.readTextFile(new URL(file, root))));
    }
  }
  return found.sort((a, b) => a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line);
}

/** All mutants of a file. */
function mutantsOf(file: string, text: string): Mutant[] {
  const lines = text.split("\n");
  return lines.flatMap((before, i) =>
    changesOf(before).map((after) => {
      return { file, line: i + 1, before, after, source: lines.with(i, after).join("\n") };
    })
  );
}

/** All changes of a line. Comments, imports and declarations do not change. */
function changesOf(line: string): string[] {
  if (/^\s*(\/\/|\/?\*|import|export (function|type)|@)/.test(line)) return [];
  const code = line.replace(/\/\/.*/, "");
  return mutations.flatMap(([from, to]) =>
    Array.from(code.matchAll(from), ({ 0: match, index }) => {
      const changed = match.replace(new RegExp(from.source), to);
      return line.slice(0, index) + changed + line.slice(index + match.length);
    })
  );
}

/** Selects `count` evenly spaced items. */
function selectEvenly<T>(all: readonly T[], count: number): T[] {
  if (all.length <= count) return [...all];
  return Array.from({ length: count }, (_, i) => all[Math.floor((i + 0.5) * all.length / count)]);
}

/** Returns what detects a mutant: the compiler or a test file; undefined if it survives. */
async function detect({ file, source }: Mutant): Promise<string | undefined> {
  const path = `${copy}/${file}`, original = await Deno.readTextFile(path);
  try {
    await Deno.writeTextFile(path, source);
    if (!await succeeds("task", "build")) return "asc";
    const [, first] = testsOf.find(([pattern]) => pattern.test(file))!;
    const suites = [
      ...first.map((name) => [`tests/backend/${name}_test.ts`]),
      ["tests/backend", "tests/ops", "tests/layers", "tests/train", "tests/models"],
    ];
    for (const suite of suites) if (!await passes(suite)) return suite[0];
    return undefined;
  } finally {
    await Deno.writeTextFile(path, original);
  }
}

/** Whether these tests pass in the copy. */
function passes(suite: readonly string[]): Promise<boolean> {
  const options = ["-A", "--no-check", "--quiet", "--fail-fast", "--parallel"];
  return succeeds("test", ...options, "--preload", "tests/preload.ts", ...suite);
}

/** Runs Deno in the copy. A run that hangs has failed. */
async function succeeds(...args: string[]): Promise<boolean> {
  const env = { PEMBROKE_WEBGPU: "off" };
  const signal = AbortSignal.timeout(300_000);
  const options = { args, cwd: copy, env, signal, stdout: "null", stderr: "null" } as const;
  return (await new Deno.Command(Deno.execPath(), options).output()).success;
}

/** Copies the files of the repository, committed or not, to a temporary folder. */
async function copyOfRepository(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "pembroke_mutants_" });
  const list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const { stdout } = await new Deno.Command("git", { args: list, cwd: fileURLToPath(root) })
    .output();
  for (const file of new TextDecoder().decode(stdout).split("\0").filter(Boolean)) {
    if (!await Deno.stat(new URL(file, root)).catch(() => undefined)) continue; // deleted
    await Deno.mkdir(new URL(`file://${folder}/${file}/..`), { recursive: true });
    await Deno.copyFile(new URL(file, root), `${folder}/${file}`);
  }
  return folder;
}
