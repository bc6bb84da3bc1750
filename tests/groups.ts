/**
 * Groups of test files. Deno takes half a second to start a test file, and there are a hundred. So
 * `deno task test` runs each group as one file, with one group per processor at a time (or DENO_JOBS).
 * To run the files of one folder, use `deno test -A tests/cli`.
 */

/** The files in each group, by path relative to tests/. */
export const groups = {
  backend: /^backend\/(?!conv|winograd)/,
  convolution: /^backend\/(conv|winograd)/,
  layers: /^(explain|layers|ops|reference)\//,
  models: /^models\//,
  training: /^(recipe|train)\//,
  command: /^cli\/(?!bulk|pull|serve)/,
  many_photos: /^(faults|serve|cli\/(bulk|pull|serve))/,
  files: /^(hub|image|io|weights)\//,
  documentation: /^documentation_test/,
  elsewhere: /^(bench|edge|examples)\/|^(?!documentation)\w+_test\.ts$/,
} as const;

const tests = new URL("./", import.meta.url);

/** All test files, by path relative to tests/. */
export function* testFiles(folder = ""): Generator<string> {
  const entries = [...Deno.readDirSync(new URL(`./${folder}`, tests))];
  for (const { name, isDirectory } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    if (isDirectory) yield* testFiles(`${folder}${name}/`);
    else if (name.endsWith("_test.ts")) yield folder + name;
  }
}

/** Registers the tests of a group. */
export async function importGroup(name: keyof typeof groups): Promise<void> {
  for (const file of testFiles()) {
    if (groups[name].test(file)) await import(new URL(file, tests).href);
  }
}
