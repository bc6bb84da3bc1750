import { createBackend } from "../../src/backend/mod.ts";
import { AlexNetTiny, createModel, saveModel } from "../../src/models/mod.ts";
import { type TensorToWrite, writeSafetensors } from "../../src/weights/mod.ts";
import { assert, assertEquals, assertMatch } from "../assert.ts";
import { deepCompressed } from "../weights/deep_compression/writer.ts";
import { fixture, run, runSeveral, TempFolder, theError } from "./run.ts";

const waves = fixture("models/waves.png");
const tiles = fixture("models/tiles.png");

/** The error for bad weights, without their name. */
async function errorOf(weights: string): Promise<string> {
  const line = theError(await run(["--weights", weights, waves]), 1);
  assert(line.startsWith(`${weights}: `), line);
  return line.slice(weights.length + 2);
}

/** A safetensors file with this header and number of data bytes. */
function safetensors(header: unknown, size: number, length?: bigint): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + size);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

Deno.test("invalid weights give one error with the file and the reason", async () => {
  await using folder = await TempFolder.make();
  const say = async (name: string, bytes: Uint8Array | string) =>
    await errorOf(await folder.write(name, bytes));
  const pth = await Deno.readFile(fixture("models/narrow_alexnet.pth"));
  const legacy = await Deno.readFile(fixture("models/narrow_alexnet_legacy.pth"));
  const entry = (begin: number, end: number) => ({
    dtype: "F32",
    shape: [(end - begin) / 4],
    data_offsets: [begin, end],
  });

  assertEquals(await errorOf(`${folder.path}/gone.pth`), "no such file");
  assertEquals(await errorOf(folder.path), "is a directory, not a file");
  assertEquals(await say("empty.pth", ""), "is empty");
  assertMatch(await say("text.pth", "These are not the weights."), /^is text, not weights/);
  assertMatch(await say("cut.pth", pth.subarray(0, pth.length - 1000)), /truncated|damaged/);
  assertMatch(await say("cut legacy.pth", legacy.subarray(0, 20_000)), /truncated|damaged/);
  assertEquals(await errorOf(waves), "is not a PyTorch .pth, safetensors or ONNX file");
  assertMatch(
    await say("outside.safetensors", safetensors({ a: entry(0, 400) }, 40)),
    /ends inside a: truncated or damaged/,
  );
  assertMatch(
    await say("overlap.safetensors", safetensors({ a: entry(0, 8), b: entry(4, 12) }, 12)),
    /b overlaps another tensor: damaged/,
  );
  assertMatch(
    await say("long.safetensors", safetensors({ a: entry(0, 4) }, 4, 2n ** 63n)),
    /claims a header of 9223372036854775808 bytes: damaged/,
  );
});

Deno.test({
  name: "unreadable weights give one error",
  ignore: Deno.build.os === "windows" || Deno.uid() === 0, // root can read everything
  fn: async () => {
    await using folder = await TempFolder.make();
    const path = await folder.write("locked.pth", "");
    await Deno.chmod(path, 0);
    assertEquals(await errorOf(path), "not readable (file permissions)");
  },
});

Deno.test("weights of another network give an error with the tensor and both shapes", async () => {
  assertEquals(
    await errorOf(fixture("models/narrow_alexnet.pth")),
    "features.0.weight is [4, 3, 11, 11], alexnet expects [64, 3, 11, 11] (and 15 more): " +
      "not weights for alexnet; export other networks as ONNX",
  );
  assertMatch(
    await errorOf(fixture("weights/model.pth")),
    /holds \d+ tensors from .+ to .+, which no known network has; if it is .+ with --model; .*as ONNX$/,
  );
});

Deno.test("weights that name os.system or eval are rejected, and nothing runs", async () => {
  await using folder = await TempFolder.make();
  const names = ["evil_system", "evil_eval", "evil_system_legacy", "evil_eval_legacy"];
  const commands = names.map((name) => ["--weights", fixture(`weights/${name}.pth`), waves]);
  // code that runs would lack permissions, or print a second line
  const flags = ["--no-prompt", "--allow-read"];
  for (const outcome of await runSeveral(commands, { flags, cwd: folder.path })) {
    assertMatch(
      theError(outcome, 1),
      /the pickle uses .*(system|eval).*: save model\.state_dict\(\) alone; nothing was executed$/,
    );
  }
  assertEquals(await Array.fromAsync(Deno.readDir(folder.path)), []);
});

Deno.test("weights from a file predict as the same weights from a seed; NaN is reported", async () => {
  await using folder = await TempFolder.make();
  const bytes = await tinyOfSeed(5);
  const path = await folder.write("seed 5.safetensors", bytes);
  const tiny = ["-m", "alexnet-tiny"], classes = [...tiny, "-k", "200", waves, tiles];

  const fromSeed = await run(["--random", "--seed", "5", ...classes]);
  const fromFile = await run(["--weights", path, ...classes]);
  assertEquals([fromSeed.code, fromFile.code], [0, 0]);
  assertEquals(fromFile.stdout, fromSeed.stdout);
  assert(fromFile.stderr.startsWith(`alexnet-tiny, ${path}, wasm (`), fromFile.stderr);

  const relative = [
    "--weights",
    "./seed 5.safetensors",
    ...tiny,
    "--jsonl",
    "-q",
    "-k",
    "1",
    waves,
  ];
  const { code, stdout } = await run(relative, { cwd: folder.path });
  assertEquals([code, JSON.parse(stdout).predictions.length], [0, 1]);

  for (const name of ["features.0.bias", "features.10.weight", "classifier.4.bias"]) {
    const restore = await writeNaN(path, name);
    const line = theError(await run(["-q", ...tiny, "--weights", path, waves]), 1);
    assertEquals(
      line,
      `${waves}: the output of alexnet-tiny is not finite: ${name} holds NaN or infinity`,
    );
    await restore();
  }

  await Deno.truncate(path, bytes.length - 1000);
  assertMatch(await errorOf(path), /truncated or damaged$/);
});

Deno.test("compressed weights of SqueezeNet are classified with, converted and summarised", async () => {
  await using folder = await TempFolder.make();
  const path = await folder.write("small.net", deepCompressed("squeezenet1_0"));
  const classes = ["-k", "2", tiles];
  const compressed = await run(["--weights", path, ...classes]);
  assertEquals(compressed.code, 0, compressed.stderr);
  assert(compressed.stderr.startsWith(`squeezenet1_0, ${path}, wasm (`), compressed.stderr);

  const converted = `${folder.path}/small.safetensors`;
  assertEquals((await run(["convert", "-q", path, converted])).code, 0);
  const same = await run(["--weights", converted, ...classes]);
  assertEquals([same.code, same.stdout], [0, compressed.stdout]);
  for (const weights of [path, converted]) { // the converted file knows the preprocessing
    const { stdout } = await run(["summary", "--weights", weights, "--json"]);
    assertEquals(JSON.parse(stdout).inputShape, [1, 3, 227, 227]);
  }

  await Deno.truncate(path, 30_000);
  assertMatch(await errorOf(path), /^starts like the compressed weights of squeezenet1_0, but /);
});

async function tinyOfSeed(seed: number): Promise<Uint8Array> {
  using backend = await createBackend();
  using model = new AlexNetTiny().init(backend, { seed });
  const tensors: TensorToWrite[] = [];
  for (const [name, { shape, tensor }] of model.stateDict()) {
    tensors.push({ name, dtype: "F32", shape, data: await tensor!.read() });
  }
  return writeSafetensors(tensors);
}

/** Replaces a tensor's first element with NaN; returns a function that restores it. */
async function writeNaN(path: string, name: string): Promise<() => Promise<void>> {
  const swap = async (value: Uint8Array<ArrayBuffer>) => {
    using file = await Deno.open(path, { read: true, write: true });
    const read = async (at: number, length: number) => {
      const bytes = new Uint8Array(length);
      await file.seek(at, Deno.SeekMode.Start);
      for (let done = 0; done < length;) done += (await file.read(bytes.subarray(done)))!;
      return bytes;
    };
    const length = Number(new DataView((await read(0, 8)).buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(await read(8, length)));
    const at = 8 + length + header[name].data_offsets[0];
    const before = await read(at, 4);
    await file.seek(at, Deno.SeekMode.Start);
    await file.write(value);
    return before;
  };
  const before = await swap(new Uint8Array(new Float32Array([NaN]).buffer));
  return async () => void await swap(before);
}

Deno.test("commands that classify refuse a network with one score and no names at once", async () => {
  await using folder = await TempFolder.make();
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const labels = ["class 0", "ant"];
  for (const [i, label] of labels.entries()) {
    const classes = [{ wnid: "", label }];
    using model = createModel("alexnet-tiny", { numClasses: 1, classes }).init(backend);
    await folder.write(`${i}.safetensors`, await saveModel(model));
  }
  await folder.write("photos/cat/1.png", await Deno.readFile(waves));
  const onnx = fixture("onnx/graphs/segmentation.onnx"); // which is no classifier
  const names = "pass --classes FILE with the names of two classes";
  const expected = {
    [`${folder.path}/0.safetensors`]:
      `alexnet-tiny: its output has one score for an image; ${names}`,
    [`${folder.path}/1.safetensors`]: `alexnet-tiny: cannot classify with one class; ${names}`,
    [onnx]: "OnnxNetwork: cannot classify images, because it outputs mask [N, 2, 12, 16], " +
      "score [N, 3]; use another network",
  };
  const commands = [[waves], ["evaluate", `${folder.path}/photos`], ["serve", "--port=0"]];
  for (const [weights, line] of Object.entries(expected)) {
    for (const args of commands) {
      const error = theError(await run([...args, "-q", "--weights", weights]), 1);
      assertEquals(error.replace(`${waves}: `, ""), line);
    }
  }
});
