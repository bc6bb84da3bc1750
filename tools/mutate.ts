/**
 * Breaks the kernels on purpose, one small change at a time, and lists the changes that no test
 * notices:
 *
 *     deno task mutate                 100 changes, spread over assembly/
 *     deno task mutate 30 winograd     30 changes in the files whose names contain "winograd"
 *
 * Works in a copy of the repository, and prints a line for each change. A change that computes the
 * same is not noticed either: read the list.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

const root = new URL("../", import.meta.url);

/** What stands for what. */
const swaps: readonly (readonly [from: RegExp, to: string])[] = [
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
  [/\bmadd\(/g, "msub("],
];

/** Tests that compute with a kernel, those that notice most first. */
const testsOf: readonly (readonly [file: RegExp, tests: readonly string[]])[] = [
  [/winograd/, ["winograd", "conv", "conv_backward"]],
  [/linear_int8/, ["linear_int8"]],
  [/linear/, ["linear", "linear_backward"]],
  [/pool|window/, ["pool", "pool_backward"]],
  [/norm/, ["norm", "norm_backward"]],
  [/softmax|relu/, ["activation", "activation_backward", "loss"]],
  [/optimizer/, ["optimizer", "optimizer_goldens"]],
  [/dropout/, ["dropout"]],
  [/threads/, ["threads", "conv"]],
  [/./, ["conv", "conv_backward", "linear", "pool"]],
];

/** A change of one place in a file. */
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
  // whatever fails here would pass for a test that notices
  if (!await succeeds("task", "build") || !await passes(["tests/backend"])) {
    throw new Error("the tests of the kernels fail without any change");
  }
  for (const mutant of spread(await mutants(), Number(count))) {
    const name =
      `${mutant.file}:${mutant.line}  ${mutant.before.trim()}  →  ${mutant.after.trim()}`;
    const noticed = await noticedBy(mutant);
    console.log(`${noticed ?? "NOT NOTICED"}  ${name}`);
    if (!noticed) survivors.push(name);
  }
} finally {
  await Deno.remove(copy, { recursive: true });
}
console.log(`${survivors.length} were not noticed`);
survivors.forEach((name) => console.log(`  ${name}`));
if (survivors.length > 0) Deno.exit(1);

/** Every change of one place in the kernels' files. */
async function mutants(): Promise<Mutant[]> {
  const found: Mutant[] = [];
  for (const folder of ["assembly/", "assembly/inline/"]) {
    for await (const { name } of Deno.readDir(new URL(folder, root))) {
      const file = folder + name;
      if (!name.endsWith(".ts") || !name.includes(named)) continue;
      const lines = (await Deno.readTextFile(new URL(file, root))).split("\n");
      for (const [i, before] of lines.entries()) {
        if (/^\s*(\/\/|\/?\*|import|export (function|type)|@)/.test(before)) continue;
        const code = before.replace(/\/\/.*/, "");
        for (const [from, to] of swaps) {
          for (const match of code.matchAll(from)) {
            const changed = match[0].replace(new RegExp(from.source), to);
            const after = before.slice(0, match.index) + changed +
              before.slice(match.index + match[0].length);
            const source = lines.with(i, after).join("\n");
            found.push({ file, line: i + 1, before, after, source });
          }
        }
      }
    }
  }
  return found.sort((a, b) => a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line);
}

/** So many of them, as far from each other as can be: the same each time. */
function spread<T>(all: readonly T[], count: number): T[] {
  if (all.length <= count) return [...all];
  return Array.from({ length: count }, (_, i) => all[Math.floor((i + 0.5) * all.length / count)]);
}

/** What notices a change: the compiler, or a file of tests; undefined if nothing does. */
async function noticedBy({ file, source }: Mutant): Promise<string | undefined> {
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

/** Whether tests of the copy pass. */
function passes(suite: readonly string[]): Promise<boolean> {
  const options = ["-A", "--no-check", "--quiet", "--fail-fast", "--parallel"];
  return succeeds("test", ...options, "--preload", "tests/preload.ts", ...suite);
}

/** Runs Deno in the copy; what hangs has failed. */
async function succeeds(...args: string[]): Promise<boolean> {
  const env = { PEMBROKE_WEBGPU: "off" };
  const signal = AbortSignal.timeout(300_000);
  const options = { args, cwd: copy, env, signal, stdout: "null", stderr: "null" } as const;
  return (await new Deno.Command(Deno.execPath(), options).output()).success;
}

/** A folder with the files of the repository as they are, committed or not. */
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
