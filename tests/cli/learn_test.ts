/** `learn`: from folders of photos to a model that classifies them. */

import { pathToFileURL } from "node:url";
import { createBackend } from "../../src/backend/mod.ts";
import { loadModel } from "../../src/models/load_model.ts";
import { createModel } from "../../src/models/registry.ts";
import { saveModel } from "../../src/models/save_model.ts";
import { decodeImage } from "../../src/image/decode.ts";
import { encodePng } from "../../src/image/encode_png.ts";
import { fileSource, openWeights, writeSafetensors } from "../../src/weights/mod.ts";
import { readCommand } from "../../src/cli/args.ts";
import { UsageError } from "../../src/cli/errors.ts";
import { sha256 } from "../../src/cli/feature_cache.ts";
import { selectModel } from "../../src/cli/model.ts";
import { weightsDigest } from "../../src/cli/weights_digest.ts";
import { PembrokeError } from "../../src/errors.ts";
import { trainHead } from "../../src/train/hold_out.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "../assert.ts";
import { StaticServer } from "../static_server.ts";
import { writeLabelled } from "./labelled_photos.ts";
import { fixture, run, runSeveral, TempFolder, theError } from "./run.ts";

const tiny = ["--from", "alexnet-tiny"];

/** A folder with ten photos of each of three classes, and what learn says about them. */
async function learned(...options: string[]) {
  const folder = await TempFolder.make();
  await writeLabelled(folder, "photos", 10);
  const output = `${folder.path}/mine.safetensors`, photos = `${folder.path}/photos`;
  const env = { PEMBROKE_CACHE: `${folder.path}/cache` };
  const learn = (...more: string[]) =>
    run(["learn", ...tiny, photos, "-o", output, ...options, ...more], { env });
  return { folder, output, photos, env, learn, ...await learn() };
}

/** A photo that differs from another one in one pixel. */
async function nearCopy(path: string): Promise<Uint8Array> {
  const image = await decodeImage(await Deno.readFile(path));
  image.data[0] ^= 8;
  return await encodePng(image);
}

const equalBytes = (a: Uint8Array, b: Uint8Array) =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

async function learnedMetadata(path: string) {
  using file = await openWeights(await fileSource(path));
  return JSON.parse(file.metadata.get("learned") ?? "{}");
}

Deno.test("learn makes a model that classifies the photos, and says how it was made", async () => {
  const { folder, output, code, stdout, stderr, photos, env, learn } = await learned();
  await using _ = folder;
  assertEquals(code, 0, stderr);
  assertMatch(stdout, /^accuracy \d+\.\d\d % \(\d of 6 photos; 95 % interval .* to .* %\)\n/);
  assertMatch(stdout, /\nclass +cat +coffee +ground +right\n/);
  assertMatch(stdout, /mine\.safetensors: 3 classes, f16, \d\.\d MB, \d+\.\d s\n$/);
  const { base, photos: counts, options, accuracy } = await learnedMetadata(output);
  assertEquals(base.network, "alexnet-tiny");
  assertMatch(base.sha256, /^[\da-f]{64}$/);
  assertEquals(counts, { cat: 10, coffee: 10, ground: 10 });
  assertEquals(options.seed, 0);
  assert(accuracy >= 5 / 6, String(accuracy));

  // by the library and by other commands
  using model = await loadModel({ weights: output });
  assertEquals(model.classes.map(({ label }) => label), ["cat", "coffee", "ground"]);
  const photo = await Deno.readFile(`${photos}/ground/3.png`);
  assertEquals((await model.classify(await decodeImage(photo)))[0].label, "ground");
  const evaluated = await run(["evaluate", "--weights", output, photos, "--json"]);
  assertEquals(evaluated.code, 0, evaluated.stderr);
  assert(JSON.parse(evaluated.stdout).accuracy > 0.9, evaluated.stdout);
  const summary = await run(["summary", "--weights", output]);
  assertMatch(summary.stdout, / → 3 features/);

  // the same bytes from cached features, and the same from none
  const bytes = await Deno.readFile(output);
  assertEquals((await learn()).code, 0);
  assert(equalBytes(await Deno.readFile(output), bytes));
  await Deno.remove(env.PEMBROKE_CACHE, { recursive: true });
  assertEquals((await learn()).code, 0);
  assert(equalBytes(await Deno.readFile(output), bytes));
});

Deno.test("learn computes only the features of new photos, and ignores damaged ones in its cache", async () => {
  const { folder, output, learn, photos } = await learned("--holdout", "0.3");
  await using _ = folder;
  const cache = `${folder.path}/cache/features`;
  const [file] = await Array.fromAsync(Deno.readDir(cache));
  const path = `${cache}/${file.name}`, whole = await Deno.readFile(path);
  const record = whole.length / 30, bytes = await Deno.readFile(output);
  assert(Number.isInteger(record));
  await learn();
  assertEquals((await Deno.stat(path)).size, whole.length);

  // a flipped bit, and a record that an interruption cut off
  const damaged = whole.slice(0, -record / 2);
  damaged[record * 4 + 50] ^= 1;
  await Deno.writeFile(path, damaged);
  await learn();
  assert(equalBytes(await Deno.readFile(output), bytes));
  // 28 whole ones of 29, and the two that were missing
  assertEquals((await Deno.stat(path)).size, 31 * record);

  await Deno.copyFile(`${photos}/cat/1.png`, `${photos}/cat/copy.png`);
  await folder.write("photos/cat/new.png", await Deno.readFile(fixture("models/waves.png")));
  const { stderr } = await learn();
  assertEquals((await Deno.stat(path)).size, 32 * record);
  assertMatch(stderr, /warning: 1 photo is a copy of others of the class; skipped\n/);
});

Deno.test("learn measures on a folder, or on all photos in turn", async () => {
  const { folder, output, code } = await learned("--folds", "3");
  await using _ = folder;
  assertEquals(code, 0);
  assertEquals((await learnedMetadata(output)).measured, { photos: 30, on: { folds: 3 } });

  await writeLabelled(folder, "val", 2, 7);
  await folder.write("val/cat/1.heic", "");
  await folder.write("val/dog/1.png", await Deno.readFile(fixture("models/waves.png")));
  const photos = `${folder.path}/photos`, val = `${folder.path}/val`;
  // names match as for evaluate
  await folder.write("val/Cat_/near.png", await nearCopy(`${photos}/cat/0.png`));
  const { stderr } = await run(
    ["learn", ...tiny, "-o", output, "--val", val, photos],
    { env: { PEMBROKE_CACHE: `${folder.path}/cache` } },
  );
  assertMatch(stderr, /val: 1 file is not a photo of a class \(JPEG, .+\); skipped\n/);
  assertMatch(stderr, /val: "dog" is not learned; skipped\n/);
  assertMatch(
    stderr,
    /\d photos? to measure on (is|are) nearly equal to learned ones; the accuracy is too high\n/,
  );
  const { measured, photos: counts } = await learnedMetadata(output);
  assertEquals(measured, { photos: 7, on: "validation folder" });
  assertEquals(counts, { cat: 10, coffee: 10, ground: 10 });

  // photos that are learned, too, are not measured, nor others instead of them
  const same = await run(["learn", ...tiny, "-q", "-o", output, "--val", photos, photos], {
    env: { PEMBROKE_CACHE: `${folder.path}/cache` },
  });
  const line = theError(same, 1);
  assertEquals(
    line,
    `${photos}: has no photo to measure on: all are learned, too, or cannot be read`,
  );
});

Deno.test("learn skips photos that are damaged or in two classes, and says so", async () => {
  await using folder = await TempFolder.make();
  await writeLabelled(folder, "photos", 4);
  const photos = `${folder.path}/photos`, output = `${folder.path}/a.safetensors`;
  await folder.write("photos/cat/bad.jpg", "no photo");
  await folder.write("photos/cat/notes.txt", "not one either");
  await Deno.copyFile(`${photos}/cat/0.png`, `${photos}/ground/9.png`);
  await folder.write("photos/dog/1.png", await Deno.readFile(fixture("models/waves.png")));
  await folder.write("photos/coffee/near.png", await nearCopy(`${photos}/coffee/0.png`));
  await Deno.mkdir(`${photos}/empty`);
  const { code, stderr } = await run(["learn", ...tiny, photos, "-o", output]);
  assertEquals(code, 0, stderr);
  assertMatch(
    stderr,
    /\d photos? (is|are) nearly equal to others of the class; such photos are held out together\n/,
  );
  assertEquals(stderr.split("\n").filter((line) => /warning|not a photo/.test(line)), [
    `${photos}: 1 file is not a photo of a class (JPEG, PNG, WebP, GIF, BMP); skipped`,
    `warning: ${photos}/ground/9.png is the same photo as ${photos}/cat/0.png, in cat and ground; ` +
    "skipped both",
    `warning: ${photos}/cat/bad.jpg: is not a supported image (JPEG, PNG, WebP, GIF, BMP); skipped`,
    'warning: "dog" has one photo: it is learned, but not measured',
    'warning: "empty" has no photos; left out',
  ]);
  assertEquals((await learnedMetadata(output)).photos, { cat: 3, coffee: 5, dog: 1, ground: 4 });
  const inParts = await run(["learn", "-q", ...tiny, photos, "-o", output, "--folds", "3"]);
  assertEquals(inParts.code, 0, inParts.stderr);
  assertEquals((await learnedMetadata(output)).measured.photos, 12); // all but that of the dog
});

Deno.test("learn reports folders and options that it cannot use in one error", async () => {
  await using folder = await TempFolder.make();
  await writeLabelled(folder, "photos", 1);
  await folder.write("one/cat/1.png", await Deno.readFile(fixture("models/waves.png")));
  await folder.write("none/1.png", await Deno.readFile(fixture("models/waves.png")));
  await Deno.mkdir(`${folder.path}/empty/cat`, { recursive: true });
  const out = ["-o", "a.safetensors"];
  const missing = "no/a.safetensors";
  const expected = [
    [
      ["one", ...out],
      'one: has photos (JPEG, PNG, WebP, GIF, BMP) of one class only, "cat"; ' +
      "there must be two or more",
    ],
    [
      ["none", ...out],
      "none: has no subfolders; put the photos of each class into a folder with its name",
    ],
    [
      ["empty", ...out],
      "empty: has no photos in its subfolders (JPEG, PNG, WebP, GIF, BMP)",
    ],
    [["gone", ...out], "gone: no such folder"],
    [["none/1.png", ...out], "none/1.png: is not a folder"],
    [["photos", "-o", missing], `${missing}: its folder does not exist`],
  ] as const;
  const commands = expected.map(([args]) => ["learn", ...args]);
  for (const [i, outcome] of (await runSeveral(commands, { cwd: folder.path })).entries()) {
    assertEquals(theError(outcome, 1), expected[i][1]);
  }
  const usage = async (...args: string[]) =>
    (await assertRejects(() => readCommand(["learn", ...args]), UsageError)).message;
  assertEquals(
    await usage(...out),
    "learn takes one folder, with a subfolder of photos for each class",
  );
  assertEquals(await usage("photos"), "learn needs -o FILE, the file to write");
  assertEquals(
    await usage("photos", "-o", "a.pth"),
    '--output is "a.pth", must end in .safetensors',
  );
  assertEquals(
    await usage("photos", ...out, "--folds", "3", "--holdout", "0.1"),
    "--holdout and --folds cannot be combined",
  );
  assertEquals(
    await usage("photos", ...out, "--holdout", "1.5"),
    '--holdout is "1.5", must be a number between 0 and 1, such as 0.2',
  );
  assertEquals(await usage("photos", ...out, "--epochs", "3"), "--epochs needs --fine-tune");
  assertEquals(
    await usage("photos", ...out, "--fine-tune", "two"),
    '--fine-tune is "two", must be an integer from 0 to 1000, or all',
  );
  const needsFrom = "--base needs --from, a file with only a last layer";
  assertEquals(await usage("photos", ...out, "--base", "a"), needsFrom);
});

Deno.test("learn has at most as many folds as photos", async () => {
  await using folder = await TempFolder.make();
  await writeLabelled(folder, "photos", 1);
  const photos = `${folder.path}/photos`, output = `${folder.path}/a.safetensors`;
  const args = ["learn", "-q", ...tiny, photos, "-o", output, "--folds"];
  const line = (folds: number) => `--folds is ${folds}, must be at most the number of photos, 3`;
  assertEquals(theError(await run([...args, "1000"]), 2), line(1000));
  // copies do not count
  await Deno.copyFile(`${photos}/cat/0.png`, `${photos}/cat/copy.png`);
  assertEquals(theError(await run([...args, "4"]), 2), line(4));
});

Deno.test("learn rejects features that are not finite, and does not keep them", async () => {
  await using folder = await TempFolder.make();
  await writeLabelled(folder, "photos", 1);
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = createModel("alexnet-tiny").init(backend, { seed: 1 });
  model.stateDict().get("classifier.1.bias")!.write(Float32Array.of(Infinity));
  const from = await folder.write("from.safetensors", await saveModel(model));
  const photos = `${folder.path}/photos`, output = `${folder.path}/a.safetensors`;
  const env = { PEMBROKE_CACHE: `${folder.path}/cache` };
  const outcome = await run(["learn", "-q", "--from", from, photos, "-o", output], { env });
  assertEquals(
    theError(outcome, 1),
    `${photos}/cat/0.png: alexnet-tiny computes features that are not finite; start from other ` +
      "weights with --from",
  );
  const cache = `${folder.path}/cache/features`;
  for (const { name } of await Array.fromAsync(Deno.readDir(cache))) {
    if (name.endsWith(".bin")) assertEquals((await Deno.stat(`${cache}/${name}`)).size, 0);
  }
  await assertRejects(() => Deno.stat(output), Deno.errors.NotFound);
});

Deno.test("trainHead() rejects weights that are not finite", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const rows = {
    values: Float32Array.of(1, NaN, 1, 2),
    count: 1,
    labels: Int32Array.of(0, 1, 0, 1),
  };
  await assertRejects(
    () => trainHead({ backend, classes: 2, seed: 0 }, { rows, samples: 2 }),
    PembrokeError,
    "not finite",
  );
});

Deno.test("weightsDigest() depends on all files of weights that are in several", async () => {
  await using folder = await TempFolder.make();
  const shard = (value: number) =>
    writeSafetensors([{ name: "a", dtype: "F32", shape: [1], data: Float32Array.of(value) }]);
  const whole = await folder.write("a.safetensors", shard(1));
  assertEquals(await weightsDigest({ place: whole }), sha256(shard(1)));
  const index = await folder.write(
    "model.safetensors.index.json",
    JSON.stringify({ metadata: {}, weight_map: { a: "a.safetensors" } }),
  );
  const [onnx, data] = await Promise.all(
    ["cnn_external.onnx", "cnn_external.onnx.data"].map(async (name) =>
      await folder.write(name, await Deno.readFile(fixture(`onnx/faults/${name}`)))
    ),
  );
  const before = await Promise.all([index, onnx].map((place) => weightsDigest({ place })));
  await folder.write("a.safetensors", shard(2));
  const bytes = await Deno.readFile(data);
  bytes[bytes.length - 1] ^= 1;
  await Deno.writeFile(data, bytes);
  for (const [i, place] of [index, onnx].entries()) {
    const after = await weightsDigest({ place });
    assertMatch(after, /^[\da-f]{64}$/);
    assert(after !== before[i], place);
  }
});

Deno.test("weightsDigest() depends on all bytes of a download, also on its graph", async () => {
  await using folder = await TempFolder.make();
  const bytes = await Deno.readFile(fixture("onnx/torch.onnx")), other = bytes.slice();
  const operation = '"\x04Relu'; // the field of a node, and its length
  const at = new TextDecoder("latin1").decode(bytes).indexOf(operation) + 2;
  other.set(new TextEncoder().encode("Tanh"), at); // the same parameters
  await using server = new StaticServer(pathToFileURL(`${folder.path}/`));
  using backend = await createBackend({ device: "wasm", threads: 1 });
  for (const content of [bytes, other]) {
    await folder.write("a.onnx", content);
    const url = `http://${server.host}/a.onnx`;
    const options = await readCommand(["summary", "--weights", url]);
    assert(options.command === "summary");
    using selected = await selectModel(options, { hashes: true });
    await selected.load(backend, () => {});
    assertEquals(await weightsDigest(selected), sha256(content));
    assertEquals(selected.model.leaves()[1][1].type, content === bytes ? "ReLU" : "Tanh");
  }
});

Deno.test("learn refuses to save an ONNX network, or to replace what a layer needs, before it computes anything", async () => {
  await using folder = await TempFolder.make();
  await writeLabelled(folder, "photos", 1);
  const from = fixture("onnx/torch.onnx"), output = `${folder.path}/a.safetensors`;
  const args = ["learn", "-q", "--from", from, `${folder.path}/photos`, "-o", output];
  const line = `${from} is an ONNX network, of which only a new layer can be saved: `;
  assertEquals(theError(await run(args), 2), `${line}add --head-only`);
  const copy = await folder.write("copy.safetensors", ""), quoted = JSON.stringify(copy);
  for (const network of [["--from", copy], ["--from", from, "--base", copy]]) {
    const onto = ["learn", "-q", ...network, "--head-only", `${folder.path}/photos`, "-o", copy];
    assertEquals(
      theError(await run(onto), 2),
      `--output is ${quoted}, which would replace ${copy}, the network that the layer needs; ` +
        "choose another name",
    );
  }
  const all = [...args, "--fine-tune", "all"];
  assertEquals(theError(await run(all), 2), `${line}use --head-only, not --fine-tune`);
});
