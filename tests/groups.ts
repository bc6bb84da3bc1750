/**
 * Groups of test files. Deno takes half a second to start a test file, and there are a hundred. So
 * `deno task test` runs each group as one file, with one group per processor at a time (or
 * DENO_JOBS). To run the files of one folder, use `deno test -A tests/cli`.
 *
 * Deno starts files in folders with long paths first, and those of one folder by name. So the
 * groups start before the short tests that run by themselves, and Chromium, which waits a lot,
 * starts early.
 */

/** The files in each group, by path relative to the repository. */
export const groups = {
  backend: /^tests\/backend\/(?!conv|winograd)/,
  browser_classify: /^tools\/browser\/classify/,
  browser_pages: /^tools\/browser\/(trouble|web_)/,
  browser_teach: /^tools\/browser\/(reports|teach)/,
  browser_webgpu: /^tools\/browser\/webgpu/,
  convolution: /^tests\/backend\/(conv|winograd)/,
  layers: /^tests\/(explain|layers|ops|reference)\//,
  models: /^tests\/models\//,
  training: /^tests\/(recipe|train)\//,
  command: /^tests\/cli\/(?!bulk|pull|serve)/,
  many_photos: /^tests\/(faults|serve|cli\/(bulk|pull|serve))/,
  files: /^tests\/(hub|image|io|weights)\//,
  elsewhere: /^tests\/((bench|edge|examples)\/|(?!documentation)\w+_test\.ts$)/,
} as const;

const root = new URL("../", import.meta.url);

/** The test files in folders, by path relative to the repository. */
export function* testFiles(folders = ["tests/", "tools/"]): Generator<string> {
  for (const folder of folders) {
    const entries = [...Deno.readDirSync(new URL(folder, root))];
    for (const { name, isDirectory } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
      if (isDirectory) yield* testFiles([`${folder}${name}/`]);
      else if (name.endsWith("_test.ts")) yield folder + name;
    }
  }
}

/** Registers the tests of a group. */
export async function importGroup(name: keyof typeof groups): Promise<void> {
  for (const file of testFiles()) {
    if (groups[name].test(file)) await import(new URL(file, root).href);
  }
}
