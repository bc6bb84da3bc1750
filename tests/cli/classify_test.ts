import { fileURLToPath, pathToFileURL } from "node:url";
import { imagenetClasses } from "../../src/models/imagenet_classes.ts";
import { assert, assertAlmostEquals, assertEquals, assertMatch } from "../assert.ts";
import { fixture, run, TempFolder } from "./run.ts";

const waves = fixture("models/waves.png");
const tiles = fixture("models/tiles.png");

interface Prediction {
  index: number;
  wnid: string;
  label: string;
  probability: number;
}

const lines = (text: string) => text.split("\n").filter((line) => line !== "");

/** Asserts that the predictions are ImageNet classes, the most probable first. */
function checkPredictions(predictions: Prediction[], count: number): void {
  assertEquals(predictions.length, count);
  for (const [i, { index, ...rest }] of predictions.entries()) {
    const { wnid, label } = imagenetClasses()[index];
    const { probability } = predictions[i];
    assertEquals(rest, { wnid, label, probability });
    assert(probability >= 0 && probability <= (predictions[i - 1]?.probability ?? 1));
  }
}

/** Asserts that exactly these stages have timings, above zero. */
function checkTimings(timings: Record<string, number>): void {
  assertEquals(Object.keys(timings), ["decodeMs", "preprocessMs", "inferenceMs"]);
  for (const ms of Object.values(timings)) assert(ms > 0 && ms < 60_000, `${ms} ms`);
}

Deno.test("--random prints five classes of about 0.1 % with bars, which depend on the seed", async () => {
  const printed: string[][] = [];
  const small = ["-m", "squeezenet1_1", "--seed"]; // AlexNet has fifty times as many weights
  const runs = [["--seed=1"], [...small, "1"], [...small, "1", "--backend=wasm"], [...small, "2"]];
  for (const args of runs) {
    const { code, stdout, stderr } = await run(["--random", ...args, waves]);
    assertEquals(code, 0);
    const head = /^(alexnet|squeezenet1_1), random \(seed [12]\), wasm \(.+\), \d+ threads?\n$/;
    assertEquals(head.exec(stderr)?.[1], args.length > 1 ? "squeezenet1_1" : "alexnet", stderr);
    const [name, ...rest] = lines(stdout);
    assertEquals(name, waves);
    assertEquals(rest.length, 5);
    printed.push(rest);
  }
  for (const line of printed[0]) {
    const [, percent, label] = /^ {2} +(0\.[01]\d) % {22,}(\S.*)$/.exec(line)!;
    assert(Number(percent) >= 0.09 && Number(percent) <= 0.12, line);
    assert(imagenetClasses().some((name) => name.label === label), line);
  }
  assertEquals(printed[1], printed[2]);
  assert(printed[1].join() !== printed[3].join());
});

Deno.test("--precision int8 is reported, and finds the same classes with close probabilities", async () => {
  const args = ["--random", "--seed=1", "--json", "-k", "3", waves];
  const [f32, int8] = await Promise.all([run(args), run([...args, "--precision", "int8"])]);
  assertMatch(int8.stderr, /^alexnet int8, random \(seed 1\), wasm /);
  const [a, b] = [JSON.parse(f32.stdout), JSON.parse(int8.stdout)];
  assertEquals([a.precision, b.precision], ["f32", "int8"]);
  checkPredictions(b.results[0].predictions, 3);
  for (const [i, { index, probability }] of b.results[0].predictions.entries()) {
    assertEquals(index, a.results[0].predictions[i].index);
    assertAlmostEquals(probability, a.results[0].predictions[i].probability, 1e-5);
  }
});

Deno.test("--json prints one document with all inputs in order, failed ones with an error", async () => {
  const args = [
    ...["--random", "-m", "squeezenet1_1", "--seed", "3", "--json", "-v", "-k", "3"],
    ...[waves, "gone.png", tiles],
  ];
  const { code, stdout, stderr } = await run(args);
  assertEquals(code, 1);
  const { results, ...head } = JSON.parse(stdout);
  assertEquals(Object.keys(head), ["model", "weights", "precision", "backend", "threads"]);
  assertEquals([head.model, head.weights], ["squeezenet1_1", "random (seed 3)"]);
  assertEquals(head.precision, "f32");
  assertMatch(head.backend, /^wasm \(.+\)$/);
  assert(Number.isInteger(head.threads) && head.threads >= 1);

  assertEquals(results.length, 3);
  assertEquals(results[1], { input: "gone.png", error: "gone.png: no such file" });
  for (const [i, input] of [[0, waves], [2, tiles]] as const) {
    const { predictions, timings, ...rest } = results[i];
    assertEquals(rest, { input });
    checkPredictions(predictions, 3);
    checkTimings(timings);
  }

  const stages = "decode \\d+\\.\\d ms, preprocess \\d+\\.\\d ms, inference \\d+\\.\\d ms";
  const expected = [
    /^squeezenet1_1, random \(seed 3\), wasm \(.+\), \d+ threads?, ready after \d+\.\d ms$/,
    new RegExp(`waves\\.png: ${stages}$`),
    /^error: gone\.png: no such file$/,
    new RegExp(`tiles\\.png: ${stages}$`),
  ];
  // -v also prints why no GPU is used
  const notes = lines(stderr).filter((line) => !line.startsWith("webgpu: "));
  assertEquals(notes.length, expected.length, stderr);
  expected.forEach((pattern, i) => assertMatch(notes[i], pattern));
});

/** Serves an image, and the ways in which servers fail to. */
function serveImages(image: Uint8Array<ArrayBuffer>): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, ({ url }) => {
    const { pathname } = new URL(url);
    if (pathname === "/good.png") return new Response(image);
    if (pathname === "/moved.png") return Response.redirect(new URL("good.png", url));
    if (pathname === "/page.png") return new Response("<!doctype html><p>Log in");
    if (pathname === "/cut.png") return new Response(image.subarray(0, image.length >> 1));
    if (pathname === "/breaks.png") {
      const headers = { "content-length": String(image.length) };
      return new Response(new Blob([image.subarray(0, 99)]).stream(), { headers });
    }
    return new Response("no", { status: 404 });
  });
}

Deno.test("--jsonl prints a line for each image from any source, in order", async () => {
  await using folder = await TempFolder.make();
  const [wave, tile] = [await Deno.readFile(waves), await Deno.readFile(tiles)];
  for (
    const name of ["photos/b.png", "photos/a/z.PNG", "-dash.png", "with space.png", "ünï 猫.png"]
  ) {
    await folder.write(name, wave);
  }
  await folder.write("photos/a/notes.txt", "not an image");
  await folder.write("empty/notes.txt", "");
  await using server = serveImages(tile);
  const base = `http://127.0.0.1:${server.addr.port}`;
  await using gone = serveImages(tile);
  const closedPort = `http://127.0.0.1:${gone.addr.port}/x.png`;
  await gone.shutdown();

  const file = pathToFileURL(`${folder.path}/ünï 猫.png`).href;
  const good = (...inputs: string[]) => inputs.map((input) => ({ input }));
  const bad = (input: string, reason: string) => [{ input, error: `${input}: ${reason}` }];
  const notImage = "not a supported image (JPEG, PNG, WebP, GIF, BMP)";
  const expected: [argument: string, results: { input: string; error?: string }[]][] = [
    ["photos", good("photos/a/z.PNG", "photos/b.png")],
    ["empty", bad("empty", "no images in this folder (JPEG, PNG, WebP, GIF, BMP)")],
    ["gone.png", bad("gone.png", "no such file")],
    ["*.png", good("-dash.png", "with space.png", "ünï 猫.png")],
    ["*.jpg", bad("*.jpg", "no file matches")],
    ["-", good("-")],
    [file, good(fileURLToPath(file))],
    [`${base}/good.png`, good(`${base}/good.png`)],
    [`${base}/moved.png`, good(`${base}/moved.png`)],
    [`${base}/no.png`, bad(`${base}/no.png`, "the server answered 404 Not Found")],
    [`${base}/page.png`, bad(`${base}/page.png`, `is a web page, ${notImage}`)],
    [`${base}/cut.png`, bad(`${base}/cut.png`, "the PNG")],
    [
      `${base}/breaks.png`,
      bad(`${base}/breaks.png`, "error reading a body from connection"),
    ],
    [closedPort, bad(closedPort, "tcp connect error: ")],
    ["photos/a/notes.txt", bad("photos/a/notes.txt", `is ${notImage}`)],
    ["-dash.png", good("-dash.png")],
    ["-dash.png", good("-dash.png")],
  ];
  const args = ["--random", "-m", "squeezenet1_1", "--seed", "4", "--jsonl", "-k", "2000", "--"];
  const { code, stdout, stderr } = await run([...args, ...expected.map(([arg]) => arg)], {
    cwd: folder.path,
    stdin: tile,
  });

  const results = lines(stdout).map((line) => JSON.parse(line));
  const all = expected.flatMap(([, results]) => results);
  assertEquals(results.map(({ input }) => input), all.map(({ input }) => input));
  const errors: string[] = [];
  for (const [i, { predictions, timings, ...rest }] of results.entries()) {
    const { input, error } = all[i];
    if (error !== undefined) {
      assertEquals(Object.keys(rest), ["input", "error"]);
      assert(rest.error.startsWith(error), `${rest.error}, expected ${error}`);
      errors.push(`error: ${rest.error}`);
    } else {
      assertEquals(rest, { input });
      checkPredictions(predictions, 1000);
      checkTimings(timings);
      const sum = predictions.reduce((sum: number, p: Prediction) => sum + p.probability, 0);
      assertAlmostEquals(sum, 1, 1e-5);
    }
  }
  const skipped = "skipped 2 files without the extension of an image (JPEG, PNG, WebP, GIF, BMP)";
  assertEquals(lines(stderr).slice(1), [...errors, skipped]);
  assertEquals(code, 1);
});

Deno.test("-q prints only results and errors, also as text", async () => {
  const damaged = fixture("image/images/orientation-damaged.jpg");
  const args = ["-q", "-m", "alexnet-tiny", "-k", "2", "gone.png", waves, "gone.jpg", damaged];
  const { code, stdout, stderr } = await run(args);
  assertEquals(code, 1);
  assertEquals(stderr, "error: gone.png: no such file\nerror: gone.jpg: no such file\n");
  const printed = lines(stdout);
  assertEquals([printed.length, printed[0], printed[3]], [6, waves, damaged]);
});
