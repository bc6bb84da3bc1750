/** `pull`, `models`, `rm`, and classifying with cached models. */

import { catalogue } from "../../src/hub/catalogue.ts";
import { parameterShapes } from "../../src/layers/parameter.ts";
import { createModel, type NetworkName } from "../../src/models/mod.ts";
import { elements } from "../../src/tensor.ts";
import { type TensorToWrite, writeSafetensors } from "../../src/weights/mod.ts";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "../assert.ts";
import { sha256 } from "../hub/models.ts";
import { serveFile } from "../hub/server.ts";
import { cli, fixture, type Outcome, run, shell, TempFolder, theError } from "./run.ts";

const photo = fixture("models/tiles.png");
const file = "alexnet-owt-7be5be79.pth", mirror = "http://127.0.0.1:1";

/** A model of `models --json`. */
interface ModelInfo {
  readonly name: string;
  readonly state: string;
  readonly precision: string;
  readonly classes: number;
  readonly default: boolean;
}

/** Runs the command with a cache folder. */
function withCache(path: string, args: readonly string[], flags?: string[]): Promise<Outcome> {
  return run(args, { ...flags && { flags }, env: { PEMBROKE_CACHE: path } });
}

/** A cache with invalid weights files: the error names the file that the command selects. */
async function cacheOf(...names: string[]): Promise<TempFolder> {
  const folder = await TempFolder.make();
  for (const [i, name] of names.entries()) {
    const path = await folder.write(name, "no weights");
    await Deno.utime(path, 1000 + i, 1000 + i); // the last one counts as pulled last
  }
  return folder;
}

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

Deno.test("wrong usage of pull and rm exits with 2 and one error", async () => {
  const errorOf = async (...args: string[]) => theError(await run(args), 2);
  assertEquals(await errorOf("pull"), "pull takes one model name; the models command lists them");
  assertEquals(
    await errorOf("pull", "alexnet", "vgg"),
    "pull takes one model name; the models command lists them",
  );
  assertMatch(
    await errorOf("pull", "vgg"),
    /^unknown model "vgg"; similar: vgg11, .*vgg19/,
  );
  assertMatch(
    await errorOf("pull", "other"),
    /^unknown model "other"; available: squeezenet, alexnet-compressed, alexnet, .*, vgg19,/,
  );
  assertEquals(await errorOf("rm"), "rm takes one model name; the models command lists them");
  const pull = (...args: string[]) => errorOf("pull", "alexnet", ...args);
  for (const url of ["x.pth", "ftp://a.test/x", "https://"]) {
    assertEquals(await pull("--url", url), `--url is "${url}", must be an http or https URL`);
  }
  for (const hash of ["12", "g".repeat(64)]) {
    assertEquals(
      await pull("--sha256", hash),
      `--sha256 is "${hash}", must be 64 hexadecimal digits`,
    );
  }
  assertEquals(await pull("--timeout", "soon"), '--timeout is "soon", must be a number of seconds');
  assertEquals(await pull("--retries", "1.5"), '--retries is "1.5", must be a number of retries');
  assertEquals(
    await pull("--precision", "f8"),
    '--precision is "f8", must be f32, f16 or int8',
  );
  assertMatch(await errorOf("models", "alexnet"), /^models takes no arguments, got "alexnet"$/);
});

Deno.test("pull reports a wrong file in one error, and caches nothing", async () => {
  await using folder = await TempFolder.make();
  const page = new TextEncoder().encode("<!doctype html>Log in");
  await using gone = await serveFile(page, { status: 404 });
  await using other = await serveFile(page);
  await using silent = await serveFile(page, { stallAfter: 3 });
  const hash = ["--sha256", sha256(page)], once = ["--retries", "0", "--timeout", "2"];
  const pull = (...args: string[]) => withCache(folder.path, ["pull", "-q", "alexnet", ...args]);
  const errorOf = async (...args: string[]) => theError(await pull(...args), 1);

  assertEquals(await errorOf("--url", gone.url), `${gone.url}: the server answered 404 Not Found`);
  assertEquals(
    await errorOf("--url", other.url),
    `${other.url}: has 21 bytes, expected 244408911`,
  );
  assertMatch(
    await errorOf("--url", other.url, ...hash),
    /^.+\.part: is text, not weights \(it starts with “<!doctype html>Log in”\)$/,
  );
  assertMatch(
    await errorOf("--url", silent.url, ...hash, ...once),
    /^http:.+: no data received for 2 s; 0\.0 MB were downloaded, run it again to resume$/,
  );
  const narrow = await Deno.readFile(fixture("models/narrow_alexnet.pth"));
  await using small = await serveFile(narrow);
  assertMatch(
    await errorOf("--url", small.url, "--sha256", sha256(narrow)),
    /features\.0\.weight is \[4, 3, 11, 11\], alexnet expects \[64, 3, 11, 11\]/,
  );
  assert(!(await names(folder.path)).some((name) => name.endsWith(".safetensors")));

  const { stderr } = await withCache(folder.path, ["pull", "alexnet", "--url", gone.url]);
  const lines = stderr.trimEnd().split("\n");
  assertEquals(lines.length, 4); // title, URL, terms and the error
  assertEquals(lines[1], gone.url);
});

Deno.test("models lists bundled and available models; rm fails if nothing is cached", async () => {
  await using folder = await TempFolder.make();
  const list = await withCache(folder.path, ["models"]);
  assertEquals([list.code, list.stderr], [0, ""]);
  const rows = list.stdout.trimEnd().split("\n").map((line) => line.split(/ {2,}/));
  assertEquals(rows.slice(0, 5).map(([name, state]) => [name, state]), [
    ["model", "precision"],
    ["resnet-tiny", "bundled"],
    ["alexnet-tiny", "bundled"],
    ["squeezenet", "available"],
    ["alexnet-compressed", "available"],
  ]);
  assertEquals(rows.length, 3 + catalogue.length);
  assertEquals(rows[1].slice(2, 6), ["int8", "3.7 MB", "200", "default"]);
  assertEquals(rows[5].slice(2), ["f32", "244.4 MB", "1000", "56.5 %", `${mirror}/${file}`]);
  // the size is unknown
  assertEquals(rows.at(-1)!.slice(1, 5), ["available", "f32", "1000", "78.5 %"]);

  const json = await withCache(folder.path, ["models", "--json"]);
  assertEquals([json.code, json.stderr], [0, ""]);
  const listed: ModelInfo[] = JSON.parse(json.stdout);
  assertEquals(
    listed.map((model) => [model.name, model.state, model.default]),
    [
      ["resnet-tiny", "bundled", true],
      ["alexnet-tiny", "bundled", false],
      ...catalogue.map(({ name }) => [name, "available", false]),
    ],
  );
  for (const name of ["alexnet", "../alexnet", "x"]) {
    const line = theError(await withCache(folder.path, ["rm", name]), 1);
    assertEquals(
      line,
      `${name} is not in the cache (${folder.path}); the models command lists what is`,
    );
  }
  const bundled = theError(await withCache(folder.path, ["rm", "resnet-tiny"]), 1);
  assertEquals(bundled, "resnet-tiny is part of the command, and cannot be deleted");
});

Deno.test("models lists damaged files in the cache, and rm deletes them", async () => {
  await using folder = await cacheOf("alexnet-f16.safetensors", "alexnet-int8.safetensors", "mine");
  const { stdout } = await withCache(folder.path, ["models", "--json"]);
  const path = (precision: string) => `${folder.path}/alexnet-${precision}.safetensors`;
  assertEquals(
    JSON.parse(stdout).slice(2, 4),
    ["int8", "f16"].map((precision) => ({
      name: "alexnet",
      state: "damaged",
      precision,
      bytes: 10,
      classes: 0,
      accuracy: 56.522,
      place: path(precision),
      default: precision === "int8",
    })),
  );
  const { code, stdout: deleted } = await withCache(folder.path, ["rm", "alexnet"]);
  assertEquals([code, deleted], [0, `deleted ${path("f16")}\ndeleted ${path("int8")}\n`]);
  assertEquals(await names(folder.path), ["mine"]);
});

Deno.test("a broken cache does not affect the bundled model", async () => {
  await using folder = await cacheOf("a-file");
  const { path } = folder;
  if (Deno.build.os !== "windows") { // links need a privilege there
    await Deno.symlink(`${path}/nothing`, `${path}/alexnet-f16.safetensors`);
  }
  for (const cache of [path, `${path}/a-file`]) {
    const { code, stderr } = await withCache(cache, [photo]);
    assertEquals(code, 0);
    assertMatch(stderr, /^resnet-tiny int8, bundled, /);
  }
});

Deno.test("classify uses the model pulled last, or the one in the requested precision", async () => {
  await using folder = await cacheOf(
    ...["alexnet-int8", "alexnet-f32", "alexnet-f16"].map((name) => `${name}.safetensors`),
  );
  const selected = async (...args: string[]) => {
    const line = theError(await withCache(folder.path, [...args, photo]), 1);
    return /^.*\/alexnet-(\w+)\.safetensors: is text/.exec(line)?.[1];
  };
  assertEquals(await selected(), "f16");
  assertEquals(await selected("-m", "alexnet"), "f16");
  assertEquals(await selected("--precision", "f32"), "f16"); // as it is stored
  assertEquals(await selected("--precision", "int8"), "int8");
  await Deno.remove(`${folder.path}/alexnet-int8.safetensors`);
  assertEquals(await selected("--precision", "int8"), "f16"); // to be rounded
});

Deno.test("classify uses the cached model of the highest published accuracy, or the named one", async () => {
  await using folder = await cacheOf(
    ...["vgg16-f16", "resnet50-int8", "resnet50-f16", "squeezenet-f16", "unknown-f16"]
      .map((name) => `${name}.safetensors`),
  );
  const env = { PEMBROKE_CACHE: folder.path };
  const selected = async (...args: string[]) => {
    const line = theError(await run([...args, photo], { env }), 1);
    const [, file, remedy] = /^.*\/([\w-]+)\.safetensors: is text.* rm ([\w-]+),/.exec(line)!;
    assert(file.startsWith(remedy), line);
    return file;
  };
  assertEquals(await selected(), "resnet50-f16");
  assertEquals(await selected("--precision", "int8"), "resnet50-int8");
  assertEquals(await selected("-m", "vgg16"), "vgg16-f16");
  assertEquals(await selected("-m", "squeezenet"), "squeezenet-f16");
  const missing = async (name: string) => theError(await run(["-m", name, photo], { env }), 2);
  // other weights of the same network
  const command = "deno run -A cli.ts pull";
  assertEquals(
    await missing("squeezenet1_0"),
    `squeezenet1_0 is not in the cache; to download it, run: ${command} squeezenet1_0`,
  );
  assertEquals(
    await missing("bvlc_alexnet"),
    `alexnet-compressed is not in the cache; to download it, run: ${command} alexnet-compressed`,
  );
});

Deno.test("the cache is not searched for other weights, nor without permission", async () => {
  await using folder = await cacheOf("alexnet-int8.safetensors");
  const bundled = await withCache(folder.path, ["-m", "resnet-tiny", photo]);
  assertMatch(bundled.stderr, /^resnet-tiny int8, bundled, .+\n200 classes; .+ squeezenet\n$/s);
  const repository = cli.slice(0, -"cli.ts".length);
  const permissions = [
    [["--allow-read"], "--allow-env"],
    [[`--allow-read=${repository}`, "--allow-env"], "--allow-read"],
    [[`--allow-read=${repository}`], "--allow-env and --allow-read"],
    [["--allow-env=HOME", "--allow-read"], "--allow-env"],
  ] as const;
  for (const [flags, missing] of permissions) {
    const { code, stdout, stderr } = await withCache(folder.path, [photo], [
      "--no-prompt",
      ...flags,
    ]);
    assertEquals([code, stdout], [0, bundled.stdout]);
    const note = ` (cache not searched: needs ${missing})`;
    assertEquals(stderr, `${bundled.stderr.trimEnd()}${note}\n`);
    const named = await withCache(folder.path, ["-m", "alexnet", photo], ["--no-prompt", ...flags]);
    assertEquals(theError(named, 2), `cannot search the cache for alexnet: needs ${missing}`);
  }
  const random = await withCache(folder.path, ["-m", "resnet-tiny", "--random", photo]);
  assertMatch(random.stderr, /^resnet-tiny, random \(seed \d+\)/);
});

Deno.test({
  name: "without permissions, pull, models and rm print the command line that works",
  ignore: Deno.build.os === "windows", // quoted for POSIX shells
  fn: async () => {
    await using folder = await cacheOf("alexnet-int8.safetensors");
    await using server = await serveFile(new Uint8Array(1), { status: 404 });
    const { host } = new URL(server.url);
    const cases = [
      [["pull", "alexnet"], "--allow-read --allow-write --allow-net=download.pytorch.org"],
      [["pull", "alexnet", "--url", server.url], `--allow-read --allow-write --allow-net=${host}`],
      [["models"], "--allow-read"],
      [["rm", "alexnet"], "--allow-read --allow-write"],
    ] as const;
    const commands: string[] = [];
    for (const [args, flags] of cases) {
      const line = theError(await withCache(folder.path, args, ["--no-prompt"]), 2);
      const command = `deno run --allow-env ${flags} ${cli} ${args.join(" ")}`;
      assertEquals(line, `Requires env access to "PEMBROKE_CACHE"; run: ${command}`);
      commands.push(command.replace("deno run", "deno run --no-prompt"));
    }
    const env = { PEMBROKE_CACHE: folder.path };
    const again = await Promise.all(commands.slice(1, 3).map((line) => shell(line, { env })));
    assertStringIncludes(again[0].stderr, "error: http");
    assertStringIncludes(again[0].stderr, "the server answered 404");
    assertEquals([again[1].code, again[1].stderr], [0, ""]);
    assertMatch((await shell(commands[3], { env })).stdout, /^deleted /);
  },
});

Deno.test("a pulled model is listed, used by default, and deleted", async () => {
  await using folder = await TempFolder.make();
  const name = "shufflenet_v2_x0_5", weights = constant(name), cache = `${folder.path}/new/cache`;
  await using server = await serveFile(weights);
  const pull = ["pull", name, "--precision", "int8", "--url", server.url];
  const path = `${cache}/${name}-int8.safetensors`;
  const pulled = await withCache(cache, [...pull, "--sha256", sha256(weights)]);
  assertEquals([pulled.code, pulled.stdout], [0, `${name} int8, 1.5 MB: ${path}\n`]);
  const again = await withCache(cache, [...pull, "--sha256", sha256(weights)]);
  assertEquals(again.stdout, `${name} int8, 1.5 MB: ${path} (already in the cache)\n`);
  assertEquals(server.ranges.length, 1);

  const { stdout } = await withCache(cache, ["models", "--json"]);
  const listed: ModelInfo[] = JSON.parse(stdout);
  assertEquals(
    listed.map((model) => [model.state, model.precision, model.classes, model.default]),
    [
      ["bundled", "int8", 200, false],
      ["bundled", "int8", 200, false],
      ["cached", "int8", 1000, true],
      ...catalogue.map(() => ["available", "f32", 1000, false]),
    ],
  );

  const classified = await withCache(cache, ["-k", "1", photo]);
  assertEquals(classified.code, 0);
  assert(classified.stderr.startsWith(`${name} int8, ${path}, wasm (`), classified.stderr);
  assertEquals(classified.stderr.trimEnd().split("\n").length, 1); // no hint to pull it
  const json = await withCache(cache, ["-q", "--json", "-m", name, photo]);
  const { model, weights: place, precision } = JSON.parse(json.stdout);
  assertEquals([model, place, precision], [name, path, "int8"]);

  const removed = await withCache(cache, ["rm", "-q", name]);
  assertEquals(removed, { code: 0, stdout: "", stderr: "" });
  assertEquals(await names(cache), []);
  const line = theError(await withCache(cache, ["-m", name, photo]), 2);
  assertEquals(
    line,
    `${name} is not in the cache; to download it, run: deno run -A cli.ts pull ${name}`,
  );
});

/** A network with constant weights. */
function constant(network: NetworkName): Uint8Array {
  const shapes = parameterShapes(createModel(network));
  const tensors = [...shapes].map(([name, shape]): TensorToWrite => {
    return { name, dtype: "F32", shape, data: new Float32Array(elements(shape)).fill(0.001) };
  });
  return writeSafetensors(tensors);
}

Deno.test({
  name: "models and rm name a cache that cannot be read",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using folder = await TempFolder.make();
    const loop = `${folder.path}/loop`;
    await Deno.symlink("loop", loop);
    for (const args of [["models"], ["rm", "squeezenet"]]) {
      const line = theError(await withCache(loop, args), 1);
      assert(line.startsWith(`${loop}: `), line);
    }
  },
});

Deno.test("without a cache folder, models lists the others, and rm says how to set one", async () => {
  const env = { PEMBROKE_CACHE: "", XDG_CACHE_HOME: "", HOME: "", LOCALAPPDATA: "" };
  const { code, stdout, stderr } = await run(["models"], { env });
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout.trimEnd().split("\n").length, 3 + catalogue.length);
  const line = theError(await run(["rm", "squeezenet"], { env }), 1);
  assertEquals(line, "no cache folder: set PEMBROKE_CACHE");
});
