import { decodeImage } from "../../src/image/decode.ts";
import { readCommand } from "../../src/cli/args.ts";
import { UsageError } from "../../src/cli/errors.ts";
import { parameterShapes } from "../../src/layers/parameter.ts";
import { createModel } from "../../src/models/mod.ts";
import { elements } from "../../src/tensor.ts";
import { type TensorToWrite, writeSafetensors } from "../../src/weights/mod.ts";
import { fileURLToPath } from "node:url";
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "../assert.ts";
import { smallModel } from "../models/onnx/models.ts";
import { halves, node } from "../weights/onnx/helpers.ts";
import { testWith } from "../needs.ts";
import { inTerminal, terminal } from "./in_terminal.ts";
import { cli, run, TempFolder, theError } from "./run.ts";

const coffee = fileURLToPath(new URL("../photos/coffee.jpg", import.meta.url));
const model = ["-m", "alexnet-tiny"];

Deno.test("explain writes the photo with the heat map, and a report", async () => {
  await using folder = await TempFolder.make();
  const png = `${folder.path}/why.png`, html = `${folder.path}/report.html`;
  const args = ["explain", coffee, "-o", png, "--html", html, "--class", "teapot", "-k", "2"];
  const { code, stdout, stderr } = await run([...args, ...model]);
  assertEquals(code, 0, stderr);
  const [name, ...lines] = stdout.trimEnd().split("\n");
  assertEquals(name, coffee);
  // the two most probable classes, and the one that is explained
  assertEquals(lines.map((line) => line.split("  ").at(-1)!.trim()).with(1, ""), [
    "espresso",
    "",
    "teapot",
  ]);
  assertMatch(stderr, /why\.png: where the model found "teapot"\n.*report\.html: the report\n$/);

  const original = await decodeImage(await Deno.readFile(coffee));
  const image = await decodeImage(await Deno.readFile(png));
  assertEquals([image.width, image.height], [600, 400]);
  const pixel = (x: number, y: number) => 3 * (y * 600 + x);
  // the network sees the middle 400 × 400 pixels
  for (const [x, isSame] of [[99, true], [100, false], [499, false], [500, true]] as const) {
    const at = pixel(x, 200), [a, b] = [image, original].map(({ data }) => data.slice(at, at + 3));
    assertEquals(a.join() === b.join(), isSame, `${x}`);
  }

  const page = await Deno.readTextFile(html);
  assertEquals(page.match(/<h2>[^<]+/g)?.map((text) => text.slice(4)), [
    "Where the network found each class",
    "Activations",
    "Filters of the first layer",
    "Milliseconds for each layer",
  ]);
  assert(!/<script|https?:/.test(page));
  // the head of a column is aligned as its numbers
  assertStringIncludes(page, '<th class="number">ms</th>');
  assertMatch(page, /\n[^\n]* \.number \{ text-align: right;/);
  assertStringIncludes(page, "<figcaption><bdi>teapot</bdi>, ");
  assertEquals(page.match(/<img /g)?.length, 1 + 4 + 4 + 48); // 4 classes, 4 stages, 48 filters
  const [, first] = /src="data:image\/png;base64,([^"]+)"/.exec(page)!;
  assertEquals((await decodeImage(Uint8Array.fromBase64(first))).width, 440);
});

Deno.test("explain names wrong classes, images and places in one line", async () => {
  await using folder = await TempFolder.make();
  const out = `${folder.path}/a.png`, args = ["explain", "-q", ...model, "-o"];
  assertEquals(
    theError(await run([...args, out, coffee, "--class", "unicorn"]), 2),
    '--class is "unicorn", must be a label of the model, or an index from 0 to 199',
  );
  const similar = {
    Cat: '"tabby, tabby cat", "Persian cat", "Egyptian cat" and 1 more',
    expresso: '"espresso"', // one letter differs
  };
  for (const [name, labels] of Object.entries(similar)) {
    assertEquals(
      theError(await run([...args, out, coffee, "--class", name]), 2),
      `--class is "${name}", must be a label of the model, such as ${labels}, or an index from 0 to 199`,
    );
  }
  assertEquals(
    theError(await run([...args, out, coffee, "--class", "200"]), 2),
    '--class is "200", must be a label of the model, or an index from 0 to 199',
  );
  assertEquals(theError(await run([...args, out, "gone.jpg"]), 1), "gone.jpg: no such file");
  const several = folder.path;
  await folder.write("1.png", "");
  await folder.write("2.png", "");
  assertMatch(
    theError(await run([...args, out, several]), 2),
    /takes one image, but .* has several$/,
  );
  const lost = `${folder.path}/no/a.png`;
  const { code, stderr } = await run([...args, lost, coffee]);
  assertEquals([code, stderr], [1, `error: ${lost}: its folder does not exist\n`]);
});

Deno.test("explain writes its file also if nobody reads the classes", async () => {
  await using folder = await TempFolder.make();
  const png = `${folder.path}/why.png`;
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", cli, "explain", "-q", ...model, coffee, "-o", png],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await process.stdout.cancel();
  const [{ code }, stderr] = await Promise.all([
    process.status,
    new Response(process.stderr).text(),
  ]);
  assertEquals([code, stderr], [0, ""]);
  assert((await Deno.stat(png)).size > 0);
});

Deno.test("explain replaces neither the photo nor one of its files by the other", async () => {
  await using folder = await TempFolder.make();
  const photo = await folder.write("photo", await Deno.readFile(coffee));
  const args = ["explain", "-q", ...model, photo], quoted = JSON.stringify(photo);
  for (const option of ["--output", "--html"]) {
    assertEquals(
      theError(await run([...args, option, photo]), 2),
      `${option} is ${quoted}, which would replace ${photo}, the photo; choose another name`,
    );
  }
  const out = `${folder.path}/out`, again = `${folder.path}/./out`;
  assertEquals(
    theError(await run([...args, "-o", out, "--html", again]), 2),
    `--html is ${JSON.stringify(again)}, which would replace ${again}, the file of --output; ` +
      "choose another name",
  );
  assertEquals(await Array.fromAsync(Deno.readDir(folder.path), ({ name }) => name), ["photo"]);
  assertEquals(await Deno.readFile(photo), await Deno.readFile(coffee));
});

Deno.test("readCommand() accepts the options of explain for explain only", async () => {
  const error = async (...args: string[]) =>
    (await assertRejects(() => readCommand(args), UsageError)).message;
  assertMatch(
    await error("explain", "a.png"),
    /^explain needs -o FILE\.png, --html FILE\.html or --show$/,
  );
  assertMatch(await error("explain", "-o", "x.png"), /^explain takes one image, got 0/);
  assertMatch(await error("explain", "-o", "x.png", "a", "b"), /^explain takes one image, got 2/);
  assertMatch(
    await error("explain", "-o", "x.png", "--json", "a"),
    /^--json is for classify, evaluate and summary, not for explain; leave it out$/,
  );
  assertMatch(await error("explain", "-o", "", "a"), /^--output is empty/);
  assertEquals(
    await error("explain", "-o", "x.JPG", "a"),
    '--output is "x.JPG", must end in .png',
  );
  assertMatch(await error("explain", "-o", "x", "--class", "", "a"), /^--class is empty/);
  assertMatch(
    await error("explain", "-o", "x", "--method", "magic", "a"),
    /must be grad-cam or saliency$/,
  );
  assertMatch(
    await error("a.png", "--html", "x.html"),
    /^--html is for evaluate and explain, not for classify; leave it out$/,
  );
  assertMatch(await error("a.png", "--show", "--jsonl"), /^--show cannot be combined/);
  for (const other of ["--files-from=a", "--shard=1/2", "--features"]) {
    const message = await error("a.png", "--show", other);
    assertEquals(message, `--show cannot be combined with ${other.split("=")[0]}`);
  }
  assertMatch(
    await error("a.png", "--class", "7"),
    /^--class is for explain, not for classify; leave it out$/,
  );
  assertMatch(
    await error("summary", "--show"),
    /^--show is for classify and explain, not for summary; leave it out$/,
  );
  assertEquals(await error("a.png", "--method", "saliency"), "--method needs --show");
  const shown = await readCommand(["a.png", "--show", "--method=saliency"]);
  assert(shown.command === "classify");
  assertEquals([shown.show, shown.explain], ["auto", { method: "saliency" }]);
  assertMatch(
    await error("a.png", "--show-as", "ascii"),
    /^--show-as is "ascii", must be auto, kitty/,
  );
  const options = await readCommand([
    "explain",
    "a.png",
    "--class",
    "7",
    "--method=saliency",
    "--show",
  ]);
  assert(options.command === "explain");
  const explain = { output: undefined, html: undefined, class: "7", method: "saliency" };
  assertEquals([options.show, options.explain], ["auto", explain]);
});

testWith(
  terminal,
  "--show draws on a terminal with colours, and prints only text elsewhere",
  async () => {
    const command = `"$DENO" run -A ${cli} -q ${model.join(" ")} --show ${coffee}`;
    const piped = run([coffee, "-q", "--show", ...model]);
    const [drawn, plain, unknown] = await Promise.all([
      inTerminal(`stty cols 60; ${command}`),
      inTerminal(`stty cols 60; ${command}`, { NO_COLOR: "1" }),
      inTerminal(`stty cols 0; ${command}`),
    ]);
    assertEquals([drawn.code, plain.code], [0, 0], drawn.screen);
    // two pictures of 29 columns, in 256 colours
    const rowsOf = (screen: string) =>
      // deno-lint-ignore no-control-regex
      screen.replace(/\x1b\[[\d;]*m/g, "").split("\r\n").filter((row) => row.startsWith("▀"));
    assertEquals(rowsOf(drawn.screen), Array(10).fill("▀".repeat(59)));
    // a terminal that does not know its columns has 80
    assertEquals(rowsOf(unknown.screen)[0], "▀".repeat(79));
    assertStringIncludes(drawn.screen, "\x1b[38;5;");
    assertEquals(plain.screen.replaceAll("\r", ""), (await piped).stdout);
    assert(!plain.screen.includes("▀"));
  },
);

testWith(
  terminal,
  "--show reports weights that cannot be loaded once, and counts files that are not images",
  async () => {
    await using folder = await TempFolder.make();
    const tensors = [...parameterShapes(createModel("alexnet-tiny"))].map((
      [name, shape],
    ): TensorToWrite => ({ name, dtype: "F32", shape, data: new Float32Array(elements(shape)) }));
    const wrong = writeSafetensors(tensors, { file_crc32: "01234567" });
    const weights = await folder.write("wrong.safetensors", wrong);
    for (const name of ["1.jpg", "2.jpg"]) await Deno.copyFile(coffee, `${folder.path}/${name}`);
    const show = (options: string) =>
      inTerminal(`"$DENO" run -A ${cli} --show ${options} ${folder.path}`);
    const nodes = [node("Flatten", ["x"], ["f"]), node("Gemm", ["f", "w"], ["y"], { transB: 1 })];
    const linear = smallModel({ nodes, tensors: [halves("w", 2, 48)] });
    const flat = await folder.write("flat.onnx", linear);
    const [failed, shown, explained, drawn] = await Promise.all([
      show(`--weights ${weights}`),
      show(model.join(" ")),
      show(`-q --weights ${flat}`),
      show(`-q --weights ${flat} --method saliency`),
    ]);
    assertEquals(failed.screen.split("checksum is wrong").length, 2, failed.screen);
    assertStringIncludes(shown.screen, "skipped 2 files without the extension of an image");
    assertEquals([failed.code, shown.code], [1, 0]);
    // a network without feature maps: each error names its photo, and what it says helps
    assertMatch(explained.screen, /2\.jpg: OnnxNetwork: Grad-CAM needs .*; use --method saliency/);
    assertEquals([explained.code, drawn.code], [1, 0], drawn.screen);
  },
);
