/** `convert`: conversion between all formats, complete or not at all. */

import { readDescription } from "../../src/models/description.ts";
import { createModel } from "../../src/models/registry.ts";
import { bundledWeights } from "../../src/models/bundled.ts";
import { fileSource, openWeights, writeSafetensors } from "../../src/weights/mod.ts";
import { assert, assertEquals, assertMatch } from "../assert.ts";
import { serveFile } from "../hub/server.ts";
import { readAll } from "../weights/helpers.ts";
import { field, node, onnx, port, tensor } from "../weights/onnx/helpers.ts";
import { cli, fixture, run, runSeveral, shell, TempFolder, theError } from "./run.ts";

const narrow = fixture("models/narrow_alexnet.pth");

/** The weights of a file, and its format. */
async function contents(path: string) {
  using file = await openWeights(await fileSource(path));
  const all: Record<string, Float32Array> = {};
  for (const name of [...file.entries.keys()].sort()) all[name] = await readAll(file, name);
  return { format: file.format, dtype: file.entries.get("features.0.weight")?.dtype, all };
}

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

Deno.test("convert writes the format of the output's extension, in f32 by default", async () => {
  await using folder = await TempFolder.make();
  const { all } = await contents(narrow);
  let from = narrow;
  const endings = [
    ["safetensors", "safetensors"],
    ["onnx", "onnx"],
    ["PTH", "pth"],
    ["pt", "pth"],
    ["safetensors", "safetensors"],
  ] as const;
  for (const [i, [ending, format]] of endings.entries()) {
    const to = `${folder.path}/a b${i}.${ending}`;
    const { code, stdout, stderr } = await run(["convert", from, to]);
    assertEquals([code, stderr], [0, ""]);
    assert(stdout.startsWith(`${to}: f32, `), stdout);
    assertMatch(stdout, / \d+\.\d MB\n$/);
    assertEquals(await contents(to), { format, dtype: "F32", all });
    from = to;
  }
  const half = `${folder.path}/half.onnx`;
  const quiet = ["convert", "-q", "--precision", "f16", from, half];
  assertEquals(await run(quiet), { code: 0, stdout: "", stderr: "" });
  assertEquals((await contents(half)).dtype, "F16");
});

Deno.test("convert can replace its input, by any of its names", async () => {
  await using folder = await TempFolder.make();
  const path = await folder.write("a.pth", await Deno.readFile(narrow));
  const before = await contents(path);
  await Deno.link(path, `${folder.path}/b.pth`);
  const outputs = ["a.pth", "./a.pth", "b.pth"];
  const onto = outputs.map((to) => ["convert", "a.pth", to]);
  const outcomes = await runSeveral(onto, { cwd: folder.path });
  for (const [i, { code, stderr }] of outcomes.entries()) {
    const note = `${outputs[i]} was also the input, which is replaced now\n`;
    assertEquals([code, stderr], [0, i < 2 ? note : ""]); // a hard link is a file of its own then
  }
  const [quiet] = await runSeveral([["convert", "-q", "a.pth", "a.pth"]], { cwd: folder.path });
  assertEquals(quiet, { code: 0, stdout: "", stderr: "" });
  assertEquals(await contents(path), before);
  assertEquals(await contents(`${folder.path}/b.pth`), before);
  // a name that other tools and pull use for temporary files
  await Deno.rename(path, `${folder.path}/c.onnx.tmp`);
  const temporary = `${folder.path}/c.onnx.tmp`;
  assertEquals((await run(["convert", temporary, `${folder.path}/c.onnx`])).code, 0);
  assertEquals((await contents(`${folder.path}/c.onnx`)).all, before.all);
  assertEquals(await contents(temporary), before);
  assertEquals(await names(folder.path), ["b.pth", "c.onnx", "c.onnx.tmp"]);
});

Deno.test("convert keeps the metadata of safetensors, and a .pth of a bundled model classifies", async () => {
  await using folder = await TempFolder.make();
  const bundled = String(bundledWeights("alexnet-tiny")), photo = fixture("models/tiles.png");
  const described = `${folder.path}/half.safetensors`, pth = `${folder.path}/tiny.pth`;
  await run(["convert", "--precision", "f16", bundled, described]);
  const { code, stderr } = await run(["convert", bundled, pth]);
  const lost = "has no class names and no preprocessing; only .safetensors keeps them";
  assertEquals([code, stderr], [0, `warning: ${pth} ${lost}\n`]);
  {
    using file = await openWeights(await fileSource(described));
    using original = await openWeights(await fileSource(bundledWeights("alexnet-tiny")));
    assertEquals(readDescription(file), readDescription(original));
  }
  // the same prediction, but .pth has no labels
  const args = ["-q", "-k", "1", "-m", "alexnet-tiny", "--precision", "f32", photo];
  const [expected, actual] = [
    await run(args),
    await run(["--weights", pth, ...args]),
  ].map(({ stdout }) => stdout.split(/ {2,}/));
  assertEquals([actual.length, actual[1]], [4, expected[1]]);
  assertEquals([actual[3], expected[3]], ["class 59\n", "abacus\n"]);
});

Deno.test("convert describes a known network, and drops what described another one", async () => {
  await using folder = await TempFolder.make();
  const to = `${folder.path}/out.safetensors`;
  using bundled = await openWeights(await fileSource(bundledWeights("alexnet-tiny")));
  const tensors = await Promise.all(
    [...bundled.entries].map(async ([name, { shape }]) => {
      return { name, dtype: "F32" as const, shape, data: await readAll(bundled, name) };
    }),
  );
  const stale = {
    ...{ format: "pt", temperature: "9", head: "linear", base_sha256: "1" },
    file_crc32: "01234567",
  };
  const kept = { input_ranges: "{}", licence: "CC0" };
  const from = await folder.write(
    "in.safetensors",
    writeSafetensors(tensors, { ...stale, ...kept }),
  );
  const { code, stderr } = await run(["convert", from, to]);
  assertEquals([code, stderr], [0, ""]);
  using file = await openWeights(await fileSource(to));
  const { format, architecture, classes, preprocessing, ...others } = Object.fromEntries(
    file.metadata,
  );
  assertEquals([format, architecture], ["pembroke model 1", "alexnet-tiny"]);
  assertEquals([JSON.parse(classes).length, JSON.parse(preprocessing).crop], [200, 64]);
  assertEquals(others, kept);
});

Deno.test("convert reads from a URL", async () => {
  await using folder = await TempFolder.make();
  await using server = await serveFile(await Deno.readFile(narrow));
  const to = `${folder.path}/a.safetensors`;
  const { code, stderr } = await run(["convert", `${server.url}.pth`, to]);
  assertEquals([code, stderr], [0, ""]);
  assertEquals((await contents(to)).all, (await contents(narrow)).all);
});

Deno.test("wrong usage of convert exits with 2 and one error", async () => {
  const errorOf = async (...args: string[]) => theError(await run(["convert", ...args]), 2);
  const files = "convert takes two files, the input and the output";
  assertEquals(await errorOf(), files);
  assertEquals(await errorOf("a.pth"), files);
  assertEquals(await errorOf("a.pth", "b.pth", "c.pth"), files);
  assertEquals(
    await errorOf("a.pth", "b.bin"),
    'unknown format of "b.bin", must end in .safetensors, .pth, .pt or .onnx',
  );
  for (const to of ["b.pth", "b.pt", "b.onnx"]) {
    assertEquals(
      await errorOf("--precision", "int8", "a.pth", to),
      `--precision int8 needs a .safetensors output, got "${to}"`,
    );
  }
  assertEquals(
    await errorOf("--precision", "int4", "a.pth", "b.safetensors"),
    '--precision is "int4", must be f32, f16 or int8',
  );
});

Deno.test("convert reports unreadable and unwritable files in one error, and leaves no output", async () => {
  await using folder = await TempFolder.make();
  const cut = (await Deno.readFile(narrow)).subarray(0, -1000);
  await folder.write("text.pth", "These are not the weights.");
  await folder.write("cut.pth", cut);
  await folder.write("old.pth", "what was there before");
  await folder.write("folder.pth/x", "");

  const expected = [
    ["gone.pth", "old.pth", /^gone\.pth: no such file$/],
    ["text.pth", "old.pth", /^text\.pth: is text, not weights/],
    ["cut.pth", "old.pth", /^cut\.pth: .*(truncated|damaged)/],
    [fixture("onnx/torch.onnx"), "old.pth", /: its network is not one of the known.*use the ONNX/],
    [narrow, "no/a.pth", /^no\/a\.pth: its folder does not exist$/],
    [narrow, "old.pth/a.pth", /^old\.pth\/a\.pth: its folder does not exist$/],
    [narrow, "folder.pth", /^folder\.pth: is a folder$/],
  ] as const;
  const commands = expected.map(([from, to]) => ["convert", from, to]);
  for (const [i, outcome] of (await runSeveral(commands, { cwd: folder.path })).entries()) {
    assertMatch(theError(outcome, 1), expected[i][2]);
  }
  assertEquals(await Deno.readTextFile(`${folder.path}/old.pth`), "what was there before");
  assertEquals(await names(folder.path), ["cut.pth", "folder.pth", "old.pth", "text.pth"]);

  // detected after half of it is written
  const data = new Float32Array(600_000).fill(NaN, 599_999);
  const nan = writeSafetensors([{ name: "a", dtype: "F32", shape: [2, 300_000], data }]);
  const path = await folder.write("nan.safetensors", nan);
  const line = theError(await run(["convert", "--precision", "int8", path, path]), 1);
  assertMatch(line, /^quantize: element \d+ of a is NaN, must be finite$/);
  assertEquals(await Deno.readFile(path), nan);
  assertEquals((await names(folder.path)).length, 5);
});

Deno.test({
  name: "convert names a file that is not writable",
  ignore: Deno.build.os === "windows" || Deno.uid() === 0, // root can write everywhere
  fn: async () => {
    await using folder = await TempFolder.make();
    await Deno.chmod(folder.path, 0o500);
    const to = `${folder.path}/a.pth`;
    const line = theError(await run(["convert", narrow, to]), 1);
    assertEquals(line, `${to}: not writable (file permissions)`);
  },
});

Deno.test({
  name: "without permissions, convert prints the command line that works",
  ignore: Deno.build.os === "windows", // quoted for POSIX shells
  fn: async () => {
    await using folder = await TempFolder.make();
    const args = ["convert", "-q", narrow, "a b.onnx"], where = { cwd: folder.path };
    for (const flags of [["--no-prompt"], ["--no-prompt", "--allow-read"]]) {
      const line = theError(await run(args, { ...where, flags }), 2);
      const [reason, command] = line.split("; run: ");
      assertMatch(reason, /^Requires (read|write) access to /);
      assert(command.startsWith(`deno run --allow-read --allow-write ${cli} convert`), command);
      assertEquals(await names(folder.path), []);
      assertEquals(await shell(command, where), { code: 0, stdout: "", stderr: "" });
      await Deno.remove(`${folder.path}/a b.onnx`);
    }
  },
});

Deno.test("convert refuses an ONNX file whose network ends in a sigmoid, as other files have none", async () => {
  await using folder = await TempFolder.make();
  using model = createModel("squeezenet1_1", { numClasses: 3 });
  const tensors = [...model.stateDict()].map(([name, { shape }]) => {
    const size = 4 * shape.reduce((a, b) => a * b);
    return tensor(name, shape, 1, field(9, new Uint8Array(size)));
  });
  const ports = { inputs: [port("x", 1, 3, 8, 8)], outputs: [port("y", 1, 3)] };
  const convolve = (x: string, y: string) =>
    node("Conv", [x, "classifier.1.weight", "classifier.1.bias"], [y]);
  const last = convolve("x", "c"), gates = [node("Sigmoid", ["x"], ["s"]), convolve("s", "c")];
  const sigmoid = node("Sigmoid", ["c"], ["s"]);
  const refused = {
    Sigmoid: [last, node("Sigmoid", ["c"], ["y"])],
    Flatten: [last, sigmoid, node("Flatten", ["s"], ["y"])],
    Identity: [last, sigmoid, node("Identity", ["s"], ["y"])],
    Squeeze: [last, node("HardSigmoid", ["c"], ["s"]), node("Squeeze", ["s"], ["y"])],
    Sub: [last, sigmoid, node("Sub", ["classifier.1.bias", "s"], ["y"])],
    Reciprocal: [last, node("Exp", ["c"], ["e"]), node("Reciprocal", ["e"], ["y"])],
  };
  const converted = {
    Relu: [...gates, node("Relu", ["c"], ["y"])],
    Reshape: [
      ...gates,
      node("Shape", ["s"], ["shape"]),
      node("Reshape", ["c", "shape"], ["y"]),
    ],
  };
  const convert = async (name: string, nodes: Uint8Array<ArrayBuffer>[]) => {
    const from = await folder.write(`${name}.onnx`, onnx({ ...ports, tensors, nodes }));
    return { from, result: await run(["convert", from, `${folder.path}/${name}.safetensors`]) };
  };
  for (const [name, nodes] of Object.entries(refused)) {
    const { from, result } = await convert(name, nodes);
    const reason = "its network ends in a sigmoid, which the output would not have";
    assertEquals(theError(result, 1), `${from}: ${reason}: use the ONNX file itself`);
  }
  for (const [name, nodes] of Object.entries(converted)) {
    const { result } = await convert(name, nodes);
    assertEquals([result.code, result.stderr], [0, ""], name);
  }
});
