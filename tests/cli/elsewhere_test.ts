/** The command from another working directory, and from a URL. */

import { fileURLToPath, pathToFileURL } from "node:url";
import { shellQuote } from "../../src/cli/permissions.ts";
import { assert, assertEquals, assertMatch } from "../assert.ts";
import { StaticServer } from "../static_server.ts";
import { cli, fixture, run, type RunOptions, shell, TempFolder, theError } from "./run.ts";

/** Deno's folder of npm packages, which tests share to save downloads. */
async function npmCache(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).npmCache;
}

Deno.test("the command runs from another working directory", async () => {
  await using folder = await TempFolder.make();
  await folder.write("a/x.png", await Deno.readFile(fixture("models/tiles.png")));
  await folder.write("a/y.jpg", await Deno.readFile(fixture("image/images/progressive.jpg")));
  // in another project
  await folder.write("package.json", '{ "type": "commonjs" }');
  await folder.write("deno.json", '{ "imports": { "node:url": "./gone.ts" } }');
  const args = ["-q", "--random", "-m", "alexnet-tiny", "-k", "1", "a"];
  const { code, stdout, stderr } = await run(args, { cwd: folder.path });
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /^a\/x\.png\n.+ %.+\na\/y\.jpg\n.+ %.+\n$/);
});

Deno.test({
  name: "the command runs from a URL, and repeats it when a permission is missing",
  ignore: Deno.build.os === "windows", // links need a privilege there
  fn: async () => {
    await using folder = await TempFolder.make();
    // random ports would fill the user's cache
    await Deno.mkdir(`${folder.path}/deno`);
    await Deno.symlink(await npmCache(), `${folder.path}/deno/npm`);
    await using server = new StaticServer();
    const script = `http://${server.host}/cli.ts`;
    const from = { script, cwd: folder.path, env: { DENO_DIR: `${folder.path}/deno` } };
    await folder.write("package.json", "{}"); // another project, whose packages it ignores

    const jpeg = fixture("image/images/progressive.jpg");
    const webp = fixture("image/images/lossy.webp");
    const args = ["-q", "--random", "-m", "alexnet-tiny", "-k", "1", jpeg, webp];
    const { code, stdout, stderr } = await run(args, from);
    assertEquals([code, stderr], [0, ""]);
    assertEquals(stdout.split("\n").filter((line) => /^\S/.test(line)), [jpeg, webp]);

    const line = theError(await run(args, { ...from, flags: ["--no-prompt"] }), 2);
    assertEquals(line.split("; run: ")[1], `deno run --allow-read ${script} ${args.join(" ")}`);
  },
});

Deno.test({
  name: "from a URL, the command fetches the bundled model from there, or reports why it cannot",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using folder = await TempFolder.make();
    await Deno.mkdir(`${folder.path}/deno`);
    await Deno.symlink(await npmCache(), `${folder.path}/deno/npm`);
    await using server = new StaticServer();
    const { host } = server;
    const from = { cwd: folder.path, env: { DENO_DIR: `${folder.path}/deno` } };
    const args = ["-q", "-k", "1", fixture("models/tiles.png")];
    const here = await run(args);
    const script = `http://${host}/cli.ts`;
    assertEquals(await run(args, { ...from, script }), here);

    const line = theError(await run(args, { ...from, script, flags: ["--no-prompt"] }), 2);
    const [, flags] = / run: deno run (.*) http/.exec(line)!;
    assertEquals(flags, `--allow-read --allow-net=${host}`);
    const permitted = { ...from, script, flags: ["--no-prompt", ...flags.split(" ")] };
    assertEquals(await run(args, permitted), here);

    const bare = await run(args, { ...from, script: `http://${host}/bare/cli.ts` });
    const weights = `http://${host}/bare/weights/resnet_tiny.safetensors`;
    assertEquals(theError(bare, 1), `${weights}: the server answered 404 Not Found`);
  },
});

Deno.test({
  name: "help and hints say how the command was started",
  ignore: Deno.build.os === "windows", // installed commands are other scripts there
  fn: async () => {
    await using folder = await TempFolder.make();
    const env = { DENO_INSTALL_ROOT: folder.path, PEMBROKE_CACHE: `${folder.path}/cache` };
    const cwd = folder.path;
    const url = pathToFileURL(cli).href, root = fileURLToPath(new URL("../../", import.meta.url));
    const usages = async (options: RunOptions) =>
      (await run(["pull", "--help"], options)).stdout.match(/(?<=^Usage: ).+(?= pull)/gm);
    assertEquals(await usages({ cwd: root, env }), ["deno run -A cli.ts"]);
    assertEquals(await usages({ cwd, env }), [`deno run -A ${url}`]);

    await folder.write("bin/deno", "x".repeat(5000)); // a program
    await folder.write("bin/other", "deno run 'file:///other/cli.ts'");
    const flags = ["-g", "-A", "--no-config", "--root", folder.path, "-n", "pem"];
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: ["install", "--quiet", ...flags, cli],
      stdin: "null",
    }).output();
    assert(success);
    assertEquals(await usages({ cwd, env }), ["pem"]);
    assertEquals(await usages({ cwd: root, env }), ["deno run -A cli.ts"]);
    // the current folder cannot be known
    assertEquals(await usages({ cwd, env, flags: ["--no-prompt"] }), ["deno run -A cli.ts"]);
    const help = await shell(`${shellQuote(`${folder.path}/bin/pem`)} --help`, { cwd, env });
    assertMatch(help.stdout, /^Usage: pem \[classify\] .+\n {7}pem explain -o /m);
  },
});

Deno.test("a version of Deno that cannot lock files without waiting is rejected", async () => {
  const prototype: Partial<Deno.FsFile> = Deno.FsFile.prototype, { tryLock } = prototype;
  delete prototype.tryLock;
  try {
    assertEquals(await run(["--version"]), {
      code: 2,
      stdout: "",
      stderr: `error: Deno ${Deno.version.deno} is too old: Deno 2.7 or later is needed ` +
        '(run "deno upgrade")\n',
    });
  } finally {
    prototype.tryLock = tryLock;
  }
});
