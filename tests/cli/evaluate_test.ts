/** `evaluate`, and `classify --features`. */

import { pathToFileURL } from "node:url";
import { createBackend } from "../../src/backend/mod.ts";
import { classFolders, matchFolders } from "../../src/cli/class_folders.ts";
import { reportOf, reportText } from "../../src/cli/report.ts";
import { decodeImage } from "../../src/image/decode.ts";
import { loadModel } from "../../src/models/load_model.ts";
import { createModel } from "../../src/models/registry.ts";
import { saveModel } from "../../src/models/save_model.ts";
import { confusionMatrix, wilsonInterval } from "../../src/train/confusion.ts";
import { assert, assertAlmostEquals, assertEquals, assertMatch } from "../assert.ts";
import { writeLabelled } from "./labelled_photos.ts";
import { cli, fixture, run, runSeveral, TempFolder, theError } from "./run.ts";

const tiny = ["-q", "-m", "alexnet-tiny"];
const weights = new URL("../../weights/alexnet_tiny.safetensors", import.meta.url);

Deno.test("wilsonInterval() ends where a share is 1.96 of its deviations from the measured one", () => {
  const z = 1.959963984540054; // 97.5 % of a normal distribution are below
  for (const [count, total] of [[46, 48], [0, 10], [10, 10], [1, 2], [500, 1000]]) {
    const measured = count / total, [low, high] = wilsonInterval(count, total);
    assert(0 <= low && low <= measured && measured <= high && high <= 1);
    for (const share of [low, high]) {
      const deviation = Math.sqrt(share * (1 - share) / total);
      assertAlmostEquals(Math.abs(share - measured), z * deviation, 1e-12);
    }
  }
  assertEquals(wilsonInterval(0, 10)[0], 0);
  assertEquals(wilsonInterval(10, 10)[1], 1);
});

Deno.test("confusionMatrix() counts classes in rows and predictions in columns", () => {
  const judgements = [[0, 0], [0, 1], [1, 1], [0, 1]].map(([label, predicted]) => ({
    label,
    predicted,
  }));
  assertEquals(confusionMatrix(judgements, 3), [[1, 2, 0], [0, 1, 0], [0, 0, 0]]);
});

Deno.test("matchFolders() knows WordNet ids, labels and single names, and no ambiguous ones", () => {
  const classes = [
    { wnid: "n02012849", label: "crane" },
    { wnid: "n03126707", label: "crane" },
    { wnid: "n02123045", label: "tabby, tabby cat" },
    { wnid: "", label: "Hot_dog" },
  ];
  const folders = ["n02012849", "n03126707_crane", "crane", "Tabby-Cat", "hot dog", "n9", "cat"];
  assertEquals(matchFolders(folders, classes), [0, 1, undefined, 2, 3, undefined, undefined]);
  const differentCase = ["Ants", "ants"].map((label) => ({ wnid: "", label }));
  assertEquals(matchFolders(["ants", "Ants", "ANTS"], differentCase), [1, 0, undefined]);
});

Deno.test({
  name: "classFolders() follows links to folders, and skips broken ones",
  ignore: Deno.build.os === "windows", // links need a privilege there
  fn: async () => {
    await using folder = await TempFolder.make();
    await folder.write("photos/cat/1.png", "");
    await folder.write("elsewhere/2.png", "");
    await Deno.symlink("../elsewhere", `${folder.path}/photos/dog`);
    await Deno.symlink("../gone", `${folder.path}/photos/eel`);
    const { classes, photos, skipped } = await classFolders(`${folder.path}/photos`);
    assertEquals([classes, photos.length, skipped], [["cat", "dog"], 2, 1]);
  },
});

Deno.test("the text of a report escapes control characters, and lists pairs of many classes", () => {
  const classes = Array.from({ length: 20 }, (_, i) => `class\x1b${i}`);
  const judged = classes.map((_, label) => ({
    name: `${label}\x07.jpg`,
    label,
    predicted: label < 3 ? 19 : label,
    probability: 0.5 + label / 100,
  }));
  const text = reportText(reportOf(judged, classes));
  assert(text.includes("accuracy 85.00 % (17 of 20 photos; 95 % interval 64.0 to 94.8 %)"), text);
  assert(text.includes("  1× class\\x1b0 taken for class\\x1b19"), text);
  assert(text.includes("  2\\x07.jpg: class\\x1b19 52.00 %"), text);
});

Deno.test("the table of a report cuts long names between characters", () => {
  const classes = ["🐜".repeat(10), "🐜".repeat(17)];
  const judged = classes.map((name, label) => ({ name, label, predicted: label, probability: 1 }));
  const lines = reportText(reportOf(judged, classes)).split("\n");
  assertMatch(lines[4], /^🐜{10} /u);
  assertMatch(lines[5], /^🐜{15}… /u);
});

Deno.test("the table of a report fits into the terminal: with numbers, or as a list of pairs", () => {
  const classes = ["a long name", "another name", "a third name"];
  const judged = classes.map((name, label) => ({ name, label, predicted: 0, probability: 1 }));
  const linesIn = (columns: number) => {
    const [, , title, ...lines] = reportText(reportOf(judged, classes), columns).split("\n");
    return [title, ...lines.slice(0, lines.indexOf(""))];
  };
  const widest = (lines: readonly string[]) => Math.max(...lines.map(({ length }) => length));
  const [, ...named] = linesIn(Infinity), [, ...numbered] = linesIn(40), [title] = linesIn(20);
  assertMatch(named[0], /^class +a long name +another name +a third name +right$/);
  assertMatch(numbered[0], /^class +1 +2 +3 +right$/);
  assertMatch(numbered[1], /^1 a long name +1 +0 +0 +100\.00 %$/);
  assert(widest(named) > 40 && widest(numbered) <= 40);
  assertEquals(linesIn(widest(named)).slice(1), named);
  assertEquals(title, "most frequent mistakes:");
});

/** Folders with names of the bundled model's classes, and one with another name. */
async function imagenetFolders(): Promise<TempFolder> {
  const folder = await TempFolder.make();
  await writeLabelled(folder, "parts", 2);
  await Deno.mkdir(`${folder.path}/photos`);
  await Deno.rename(`${folder.path}/parts/cat`, `${folder.path}/photos/Egyptian_cat`);
  await Deno.rename(`${folder.path}/parts/coffee`, `${folder.path}/photos/n07920052`);
  await Deno.rename(`${folder.path}/parts/ground`, `${folder.path}/photos/&ground`);
  return folder;
}

Deno.test("evaluate prints the same measurement as text, JSON and a page", async () => {
  await using folder = await imagenetFolders();
  await folder.write("photos/n07920052/bad.png", "no photo");
  await Deno.mkdir(`${folder.path}/photos/nothing`); // learn leaves it out, too
  await folder.write("photos/notes.txt", "no photo");
  const photos = `${folder.path}/photos`, page = `${folder.path}/page.html`;
  const args = ["evaluate", "-m", "alexnet-tiny", photos];
  const { code, stdout, stderr } = await run([...args, "--json", "--html", page]);
  assertEquals(code, 1);
  assertMatch(stderr, /warning: no class of the model matches "&ground"; skipped 2 photos\n/);
  assertMatch(stderr, /photos: 1 file is not a photo of a class \(JPEG, .+\); skipped\n/);
  assertMatch(stderr, /error: .*bad\.png: is not a supported image/);
  const { accuracy, top5, interval, classes, mistakes, errors, ...rest } = JSON.parse(stdout);
  assertEquals([rest.photos, rest.model, errors.length], [4, "alexnet-tiny", 1]);
  assertEquals(classes.map(({ photos }: { photos: number }) => photos), [2, 2]);
  assertEquals(mistakes.length, Math.round(4 * (1 - accuracy)));
  assert(interval[0] <= accuracy && accuracy <= interval[1] && accuracy <= top5);

  // one file, with a picture of each mistake
  const html = await Deno.readTextFile(page);
  assertEquals(html.match(/<img src="data:image\/png;base64,/g)?.length ?? 0, mistakes.length);
  assert(!/(src|href)="(?!data:)/.test(html) && !/<script/.test(html), html.slice(0, 1000));
  const text = await run(args);
  assert(text.stdout.startsWith(`accuracy ${(accuracy * 100).toFixed(2)} % (`), text.stdout);
});

Deno.test("evaluate reports what it cannot measure in one error", async () => {
  await using folder = await TempFolder.make();
  await writeLabelled(folder, "photos", 1);
  await Deno.mkdir(`${folder.path}/empty/espresso`, { recursive: true });
  const formats = "JPEG, PNG, WebP, GIF, BMP";
  const usage = /^evaluate takes one folder, with a subfolder of photos for each class$/;
  const expected = [
    [
      1,
      ["photos"],
      /^photos: no subfolder is named after a class of the model: ".*" and 197 more$/,
    ],
    [1, ["empty"], RegExp(`^empty: has no photos in its subfolders \\(${formats}\\)$`)],
    [1, ["gone"], /^gone: no such folder$/],
    [2, [], usage],
    [2, ["photos", "photos"], usage],
  ] as const;
  const commands = expected.map(([, args]) => ["evaluate", ...tiny, ...args]);
  for (const [i, outcome] of (await runSeveral(commands, { cwd: folder.path })).entries()) {
    const [code, , line] = expected[i];
    assertMatch(theError(outcome, code), line);
  }
  const onlyEvaluate = theError(await run(["--html", "a.html", "a.jpg"]), 2);
  assertMatch(onlyEvaluate, /^--html is for evaluate and explain, not for classify/);
});

Deno.test("classify --features prints what the last layer takes", async () => {
  await using folder = await TempFolder.make();
  const photo = fixture("models/waves.png"), bad = await folder.write("bad.png", "no photo");
  const args = ["classify", "--features", ...tiny, photo, bad, photo];
  const { code, stdout, stderr } = await run(args);
  assertEquals(code, 1);
  assertMatch(stderr, /^error: .*bad\.png: is not a supported image[^\n]*\n$/);
  const lines = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines.map(({ file }) => file), [photo, photo]);
  using model = await loadModel({ weights });
  const values = model.preprocess(await decodeImage(await Deno.readFile(photo)));
  using x = model.backend.upload(values, model.inputShape());
  using features = model.features(x);
  const expected = await features.read();
  assertEquals(lines[0].features.length, expected.length);
  for (const [i, value] of expected.entries()) {
    assertAlmostEquals(lines[0].features[i], value, 1e-4 * (1 + Math.abs(value)));
  }

  // a file for numpy.load(), and the names of its rows
  const npy = `${folder.path}/out.npy`;
  assertEquals((await run([...args, "-o", npy])).code, 1);
  assertEquals(await Deno.readTextFile(`${folder.path}/out.txt`), `${photo}\n${photo}\n`);
  const bytes = await Deno.readFile(npy), head = String.fromCharCode(...bytes.subarray(0, 128));
  assert(head.startsWith("\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', "), head);
  const shape = `'fortran_order': False, 'shape': (2, ${expected.length}), }`;
  assert(head.includes(shape) && head[127] === "\n", head);
  assertEquals(bytes.length, 128 + 2 * 4 * expected.length);
  assertEquals([...new Float32Array(bytes.slice(128).buffer)], [
    ...lines[0].features,
    ...lines[1].features,
  ]);
});

Deno.test("classify --features reports features that are not finite, and leaves them out", async () => {
  await using folder = await TempFolder.make();
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = createModel("alexnet-tiny").init(backend, { seed: 1 });
  model.stateDict().get("classifier.1.bias")!.write(Float32Array.of(Infinity));
  const weights = await folder.write("from.safetensors", await saveModel(model));
  const photo = fixture("models/waves.png"), npy = `${folder.path}/out.npy`;
  const args = ["-q", "--features", "--weights", weights, photo];
  const line = `${photo}: alexnet-tiny computes features that are not finite; use other weights ` +
    "with --weights";
  assertEquals(theError(await run(args), 1), line);
  assertEquals(theError(await run([...args, "-o", npy]), 1), line);
  assertEquals((await Deno.stat(npy)).size, 128);
  assertEquals(await Deno.readTextFile(`${folder.path}/out.txt`), "");
});

Deno.test("classify --features does not replace the list of images, or one of its files alone", async () => {
  await using folder = await TempFolder.make();
  const photo = fixture("models/waves.png"), npy = `${folder.path}/out.npy`;
  const list = await folder.write("out.txt", `${photo}\n`);
  const args = ["--features", ...tiny, "-o", npy], quoted = JSON.stringify(npy);
  for (const path of [list, `${folder.path}/./out.txt`, pathToFileURL(list).href]) {
    assertEquals(
      theError(await run([...args, "--files-from", path]), 2),
      `--output is ${quoted}, which would replace ${list}, the list of --files-from; choose ` +
        "another name",
    );
  }
  assertEquals(await Deno.readTextFile(list), `${photo}\n`);

  // the names of the rows cannot be written
  await Deno.remove(list);
  await Deno.mkdir(list);
  await folder.write("out.npy", "old");
  const line = theError(await run([...args, photo]), 1);
  assert(line.startsWith(`${list}: `), line);
  assertEquals(await Deno.readTextFile(npy), "old");

  // the matrix cannot be written
  const other = `${folder.path}/folder.npy`;
  await Deno.mkdir(other);
  await folder.write("folder.txt", "old");
  assertEquals(
    theError(await run(["--features", "-q", "-o", other, photo]), 1),
    `${other}: is a folder`,
  );
  assertEquals(await Deno.readTextFile(`${folder.path}/folder.txt`), "old");
});

Deno.test("wrong usage of --features exits with 2 and one error", async () => {
  const errorOf = async (...args: string[]) => theError(await run(args), 2);
  assertEquals(
    await errorOf("--features", "--json", "a.jpg"),
    "--features and --json cannot be combined",
  );
  assertMatch(await errorOf("serve", "--features"), /^--features is for classify, not for serve/);
  assertEquals(
    await errorOf("--features", "-o", "a.csv", "a.jpg"),
    '--output is "a.csv", must end in .npy',
  );
  assertEquals(
    await errorOf("-o", "a.npy", "a.jpg"),
    "--output is only for learn, explain, quantize and classify --features",
  );
});

Deno.test({
  name: "classify --features leaves no incomplete file behind when a signal stops it",
  ignore: Deno.build.os === "windows", // it has no such signals
  fn: async () => {
    await using folder = await TempFolder.make();
    const stopped = async (signal: Deno.Signal, flags: readonly string[]) => {
      const command = ["--features", ...tiny, "--backend=wasm", "--files-from=-", "-o", "out.npy"];
      const process = new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", ...flags, cli, ...command],
        cwd: folder.path,
        stdin: "piped",
        stdout: "null",
        stderr: "piped",
      }).spawn();
      const list = process.stdin.getWriter(), errors = process.stderr.getReader();
      await list.write(new TextEncoder().encode("gone.png\n"));
      await errors.read(); // the error of the image: the file is being written
      const names = () => Array.fromAsync(Deno.readDir(folder.path), ({ name }) => name);
      assertMatch((await names()).join(), /^out\.npy\.[\da-f]{8}\.tmp$/);
      process.kill(signal);
      const { code } = await process.status;
      assertEquals(await names(), []);
      await list.abort().catch(() => {});
      await errors.cancel();
      return code;
    };
    assertEquals(await stopped("SIGINT", ["-A"]), 130);
    assertEquals(await stopped("SIGTERM", ["-A"]), 143);
    // the signal cannot be sent again, so the command exits
    assertEquals(await stopped("SIGINT", ["--no-prompt", "--allow-read", "--allow-write"]), 130);
  },
});
