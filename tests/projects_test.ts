/**
 * Deno projects of every kind import the library by its URL: each in a folder of its own, by a Deno
 * that has never downloaded anything, with no more permissions than it needs.
 */

import { fileURLToPath } from "node:url";
import { assertEquals } from "./assert.ts";
import { type Outcome, run, TempFolder } from "./cli/run.ts";
import { needsRegistry, testWith } from "./needs.ts";
import { Served } from "./served.ts";
import { output } from "./tools.ts";

interface Project {
  /** What is special about it. */
  readonly name: string;
  /** Its files, but for the program; `HOST` in them is where the library is served. */
  readonly files?: Record<string, string>;
  /** What the program imports. Default: mod.ts by its URL. */
  readonly library?: string;
  /** What Deno is given. Default: the program. */
  readonly script?: string;
  readonly flags?: readonly string[];
  /** Whether it has the package that decodes JPEG, or lets Deno download it. */
  readonly jpeg: boolean;
  /** Which way out of this the test takes: both that the error shows are taken once. */
  readonly way?: "add" | "config";
}

const root = new URL("../", import.meta.url);
const byPath = fileURLToPath(root);

const projects: readonly Project[] = [
  { name: "without configuration", jpeg: true },
  {
    name: "with a package.json",
    files: { "package.json": "{}" },
    jpeg: false,
    way: "add",
  },
  {
    name: 'whose nodeModulesDir is "manual"',
    files: { "deno.json": '{ "nodeModulesDir": "manual" }' },
    jpeg: false,
    way: "config",
  },
  {
    name: 'whose nodeModulesDir is "auto"',
    files: { "deno.json": '{ "nodeModulesDir": "auto" }' },
    jpeg: true,
  },
  {
    name: 'whose nodeModulesDir is "none"',
    files: { "deno.json": '{ "nodeModulesDir": "none" }' },
    jpeg: true,
  },
  {
    name: "that vendors what it imports, by an import map",
    files: { "deno.json": '{ "vendor": true, "imports": { "pembroke": "HOST/mod.ts" } }' },
    library: "pembroke",
    jpeg: true,
  },
  {
    name: "with a web worker",
    files: {
      "main.ts": 'new Worker(new URL("./program.ts", import.meta.url), { type: "module" });',
    },
    script: "main.ts",
    flags: ["--allow-read=."],
    jpeg: true,
  },
  {
    name: "with a package.json, beside a clone",
    files: { "package.json": "{}" },
    library: new URL("mod.ts", root).href,
    flags: [`--allow-read=${byPath}`],
    jpeg: false,
  },
];

/** Prints a convolution's value, and for two photos what is on them or why nobody can tell. */
const program = `
  import { AlexNet, conv2d, createBackend, decodeImage } from "LIBRARY";

  using backend = await createBackend({ device: "wasm", threads: 1 });
  using x = backend.upload([1, 2, 3, 4], [1, 1, 2, 2]);
  using w = backend.upload([1, 10, 100, 1000], [1, 1, 2, 2]);
  using y = conv2d(x, w, null);
  console.log(String(await y.read()));

  using model = await AlexNet.load({ backend });
  for (const name of ["chelsea.png", "coffee.jpg"]) {
    const photo = await fetch(\`HOST/tests/photos/\${name}\`);
    try {
      const [best] = await model.classify(await decodeImage(await photo.bytes(), { name }));
      console.log(best.label);
    } catch (error) {
      console.log((error as Error).message);
    }
  }
  close();`;

const png = ["4321", "tabby, tabby cat"];
const advice = 'coffee.jpg: the JPEG codec is not installed in this project; run "deno add ' +
  'npm:@jsquash/jpeg@1.6.0", or set "nodeModulesDir": "auto" in deno.json. PNG images, pixels ' +
  '(fromRgba) and your own decoder (the "codecs" option) work without it';

/** A project in a folder. */
class Made implements AsyncDisposable {
  private constructor(
    readonly project: Project,
    readonly folder: TempFolder,
    readonly host: string,
  ) {}

  static async make(project: Project, host: string): Promise<Made> {
    const made = new Made(project, await TempFolder.make(), host);
    const { files = {}, library = "HOST/mod.ts" } = project;
    await made.write("program.ts", program.replace("LIBRARY", library));
    for (const [name, text] of Object.entries(files)) await made.write(name, text);
    return made;
  }

  async write(name: string, text: string): Promise<void> {
    await this.folder.write(name, text.replaceAll("HOST", `http://${this.host}`));
  }

  run(): Promise<Outcome> {
    const { host, folder: { path }, project: { script = "program.ts", flags = [] } } = this;
    const permissions = ["--no-prompt", `--allow-import=${host}`, `--allow-net=${host}`];
    return run([], {
      script,
      flags: [...permissions, ...flags],
      cwd: path,
      env: { DENO_DIR: `${path}/deno` },
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.folder[Symbol.asyncDispose]();
  }
}

/** What it printed, when it had nothing to complain about. */
function printed({ code, stdout, stderr }: Outcome): string[] {
  assertEquals([code, stderr], [0, ""]);
  return stdout.trimEnd().split("\n");
}

const registry = await needsRegistry();
for (const project of projects) {
  testWith(registry, `the library in a project ${project.name}`, async () => {
    await using served = new Served();
    await using made = await Made.make(project, served.host);
    const { folder: { path } } = made;
    const expected = project.jpeg ? "espresso" : advice;
    assertEquals(printed(await made.run()), [...png, expected]);

    if (!project.way) return;
    const [, add, config] = /run "deno add (\S+)", or set (.+) in deno\.json\./.exec(advice)!;
    if (project.way === "config") await made.write("deno.json", `{ ${config} }`);
    else await output(Deno.execPath(), ["add", "--quiet", add], path);
    assertEquals(printed(await made.run()), [...png, "espresso"]);
  });
}
