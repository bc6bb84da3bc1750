/**
 * Imports the library by URL in every kind of Deno project, each in its own folder, with an empty
 * cache and only the permissions it needs.
 */

import { fileURLToPath } from "node:url";
import { assertEquals } from "./assert.ts";
import { type Outcome, run, TempFolder } from "./cli/run.ts";
import { needsRegistry, testWith } from "./needs.ts";
import { StaticServer } from "./static_server.ts";
import { runProgram } from "./tools.ts";

interface Project {
  /** What distinguishes this project, for the test's name. */
  readonly name: string;
  /** Files besides the program. `HOST` stands for the server of the library. */
  readonly files?: Record<string, string>;
  /** The specifier that the program imports. Default: the URL of mod.ts. */
  readonly library?: string;
  /** The script that Deno runs. Default: the program. */
  readonly script?: string;
  readonly flags?: readonly string[];
  /** Whether the project can decode JPEG: the package is installed, or Deno may download it. */
  readonly jpeg: boolean;
  /** Which of the two fixes in the error message the test tries. */
  readonly fix?: "add" | "config";
}

const root = new URL("../", import.meta.url);
const rootPath = fileURLToPath(root);

const projects: readonly Project[] = [
  { name: "without configuration", jpeg: true },
  {
    name: "with a package.json",
    files: { "package.json": "{}" },
    jpeg: false,
    fix: "add",
  },
  {
    name: 'whose nodeModulesDir is "manual"',
    files: { "deno.json": '{ "nodeModulesDir": "manual" }' },
    jpeg: false,
    fix: "config",
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
    name: "with vendored imports and an import map",
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
    name: "with a package.json that imports a local clone",
    files: { "package.json": "{}" },
    library: new URL("mod.ts", root).href,
    flags: [`--allow-read=${rootPath}`],
    jpeg: false,
  },
];

/** Prints the result of a convolution, and the label of two photos or the error. */
const program = `
  import { loadModel, conv2d, createBackend, decodeImage } from "LIBRARY";

  using backend = await createBackend({ device: "wasm", threads: 1 });
  using x = backend.upload([1, 2, 3, 4], [1, 1, 2, 2]);
  using w = backend.upload([1, 10, 100, 1000], [1, 1, 2, 2]);
  using y = conv2d(x, w, null);
  console.log(String(await y.read()));

  using model = await loadModel({ backend });
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

const output = ["4321", "golden retriever"]; // it takes the ginger cat for one
const notInstalled = 'coffee.jpg: the JPEG codec is not installed in this project; run "deno add ' +
  'npm:@jsquash/jpeg@1.6.0", or set "nodeModulesDir": "auto" in deno.json. PNG images, pixels ' +
  '(fromRgba) and your own decoder (the "codecs" option) work without it';

/** A project in a temporary folder. */
class ProjectFolder implements AsyncDisposable {
  private constructor(
    readonly project: Project,
    readonly folder: TempFolder,
    readonly host: string,
  ) {}

  static async make(project: Project, host: string): Promise<ProjectFolder> {
    const created = new ProjectFolder(project, await TempFolder.make(), host);
    const { files = {}, library = "HOST/mod.ts" } = project;
    await created.write("program.ts", program.replace("LIBRARY", library));
    for (const [name, text] of Object.entries(files)) await created.write(name, text);
    return created;
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

/** Asserts that the program succeeded without warnings, and returns its lines. */
function linesOf({ code, stdout, stderr }: Outcome): string[] {
  assertEquals([code, stderr], [0, ""]);
  return stdout.trimEnd().split("\n");
}

const registry = await needsRegistry();
for (const project of projects) {
  testWith(registry, `the library works in a project ${project.name}`, async () => {
    await using server = new StaticServer();
    await using created = await ProjectFolder.make(project, server.host);
    const { folder: { path } } = created;
    const expected = project.jpeg ? "espresso" : notInstalled;
    assertEquals(linesOf(await created.run()), [...output, expected]);

    if (!project.fix) return;
    const [, add, config] = /run "deno add (\S+)", or set (.+) in deno\.json\./.exec(notInstalled)!;
    if (project.fix === "config") await created.write("deno.json", `{ ${config} }`);
    else await runProgram(Deno.execPath(), ["add", "--quiet", add], path);
    assertEquals(linesOf(await created.run()), [...output, "espresso"]);
  });
}
