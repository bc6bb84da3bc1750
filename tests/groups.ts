/**
 * Files of tests that run together, one after another. Deno takes about half a second to start a file
 * of tests, whatever is in it, and there are a hundred. So `deno task test` starts these groups, as
 * many at once as there are processors (DENO_JOBS says otherwise). `deno test -A tests/cli` runs the
 * files of a folder.
 */

/** Which files each group takes, by their paths below tests/. */
export const groups = {
  backend: /^backend\/(?!conv|winograd)/,
  convolution: /^backend\/(conv|winograd)/,
  networks: /^(layers|models|ops|reference)\//,
  training: /^(recipe|train)\//,
  command: /^cli\/(?!bulk|pull|serve)/,
  many_photos: /^(serve|cli\/(bulk|pull|serve))/,
  files: /^(hub|image|io|weights)\//,
  elsewhere: /^(bench|edge|examples)\/|^\w+_test\.ts$/,
} as const;

const tests = new URL("./", import.meta.url);

/** Every file of tests, by its path below tests/. */
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
