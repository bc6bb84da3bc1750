import { bar, percent, resultText, timingsText } from "../../src/cli/output.ts";
import { summaryText } from "../../src/cli/summary.ts";
import { asFileError, asWriteError, errorLine } from "../../src/cli/errors.ts";
import { escape } from "../../src/cli/html.ts";
import { oneLine } from "../../src/io/system_error.ts";
import { escapeControls, printable } from "../../src/cli/terminal.ts";
import { createBackend } from "../../src/backend/mod.ts";
import { FileError, PembrokeError } from "../../src/errors.ts";
import { featureMapIndex } from "../../src/explain/feature_map.ts";
import { Flatten, Linear, Reshape, Sequential } from "../../src/layers/mod.ts";
import { Classifier, loadModel, summarize } from "../../src/models/mod.ts";
import { recognize } from "../../src/models/recognize.ts";
import { lowestLoss } from "../../src/train/cross_validate.ts";
import { foldedWeights } from "../../src/train/linear_head.ts";
import { arrayDataset, SGD, Trainer } from "../../src/train/mod.ts";
import { RelatedFiles } from "../../src/weights/io/related_files.ts";
import { bytesSource, openWeights, writeSafetensors } from "../../src/weights/mod.ts";
import { assertEquals, assertMatch, assertRejects } from "../assert.ts";
import { fixture } from "./run.ts";

const timings = { decodeMs: 1, preprocessMs: 2.34, inferenceMs: 60 };
const prediction = (probability: number) => ({ index: 0, wnid: "", label: "cat", probability });

Deno.test("bar() is 20 wide, in steps of an eighth of a character", () => {
  assertEquals(bar(0), " ".repeat(20));
  assertEquals(bar(1), "█".repeat(20));
  assertEquals(bar(0.5), "█".repeat(10) + " ".repeat(10));
  assertEquals(bar(1 / 160), "▏" + " ".repeat(19));
  assertEquals(bar(0.8919), "█".repeat(17) + "▉  ");
  for (let i = 0; i <= 1000; i++) assertEquals([...bar(i / 1000)].length, 20);
});

Deno.test("percent() shows two decimals, or two significant digits of small values", () => {
  assertEquals(
    [1, 0.8919, 0.001, 0.00057, 0.0000123, 0.0000011, 0.00000099, 0].map(percent),
    ["100.00 %", "89.19 %", "0.10 %", "0.057 %", "0.0012 %", "0.00011 %", "<0.0001 %", "0.00 %"],
  );
});

Deno.test("summaryText() shows an output of one value for each sample", () => {
  using model = new Sequential([new Linear(3, 1), new Reshape([]), new Reshape([1, 1])]);
  const lines = summaryText(summarize(model, [1, 3])).split("\n").slice(2, 5);
  assertEquals(lines.map((line) => line.trim().split(/  +/).slice(0, 3)), [
    ["0", "Linear", "1"],
    ["1", "Reshape", "1"],
    ["2", "Reshape", "1×1"],
  ]);
});

Deno.test("resultText() escapes control characters in labels", () => {
  const predictions = [{ ...prediction(1), label: "cat\x1b[2J\n" }];
  assertMatch(resultText({ input: "x", predictions }), /cat\\x1b\[2J\\x0a$/);
});

Deno.test("resultText() has no bars in a narrow terminal", () => {
  const result = { input: "x", predictions: [prediction(1)] };
  assertEquals(resultText(result, 59).split("\n")[1], "  100.00 %  cat");
  assertMatch(resultText(result, 60).split("\n")[1], /█{20}/);
});

Deno.test("resultText() aligns bars, also for tiny probabilities", () => {
  const predictions = [1, 0.5, 0.0000123, 1.5e-12].map(prediction);
  const [name, ...lines] = resultText({ input: "x", predictions }).split("\n");
  assertMatch(name, /^\S*x\S*$/); // perhaps bold
  assertEquals(new Set(lines.map((line) => line.indexOf(" %"))).size, 1);
});

Deno.test("timingsText() lists the image and each stage", () => {
  assertEquals(
    timingsText({ input: "x.png", predictions: [], timings }),
    "x.png: decode 1.0 ms, preprocess 2.3 ms, inference 60.0 ms",
  );
});

Deno.test("printable() escapes control characters in file names", () => {
  assertEquals(printable("a\x1b[31m\nü 猫.png\x9b"), "a\\x1b[31m\\x0aü 猫.png\\x9b");
  assertEquals(printable("\u202egpj.exe\u2066 עברית"), "\\u202egpj.exe\\u2066 עברית");
  // marks, isolates, separators, a byte order mark, fillers, tags
  const codes = "200b 200e 200f 061c 2028 2029 202a 202e 2060 2066 2069 feff 00ad 3164 fff9".split(
    " ",
  );
  for (const code of codes) {
    const char = String.fromCharCode(parseInt(code, 16));
    assertEquals([printable(`a${char}b`), escape(`a${char}<`)], [
      `a\\u${code}b`,
      `a\\u${code}&#60;`,
    ]);
  }
  assertEquals(printable("\u{e0061}"), "\\udb40\\udc61");
  // by emoji, flags, keycaps and scripts
  const tags = (text: string) =>
    text.replace(/./g, (c) => String.fromCodePoint(0xe0000 + c.charCodeAt(0)));
  for (const region of ["gbeng", "gbsct", "gbwls"]) {
    const flag = `🏴${tags(region)}\u{e007f}`;
    assertEquals(printable(`a${flag}b`), `a${flag}b`);
  }
  assertEquals(printable(`🏴${tags("a")}`), "🏴\\udb40\\udc61");
  const needed = "👨‍👩‍👧 ❤️‍🔥 👩🏽‍🚀 ☺︎ 1️⃣ می‌خواهم क्‍ष 葛\u{e0100} עִבְרִית";
  assertEquals(printable(needed), needed);
  for (const char of ["\u200c", "\u200d", "\ufe0e", "\ufe0f", "\ufe00"]) {
    const code = char.charCodeAt(0).toString(16);
    assertEquals(printable(`a${char}1${char}-${char}`), `a\\u${code}1\\u${code}-\\u${code}`);
  }
  assertEquals(printable("❤\ufe0f\ufe0f क्\u200d\u200d"), "❤\ufe0f\\ufe0f क्\u200d\\u200d");
  assertEquals(escapeControls("a\n\x85\u2028\u200e"), "a\\x0a\\x85\\u2028\u200e");
});

Deno.test("errorLine() returns expected errors as one line, and unexpected ones with their location", () => {
  assertEquals(errorLine(new FileError("x", "is empty")), "x: is empty");
  const bug = errorLine(new TypeError("x is not a function"));
  assertMatch(bug, /^unexpected TypeError: x is not a function \(at .+:\d+:\d+\); .+$/);
});

Deno.test("errorLine() says what to do in the command, where the library names its own options", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using linear = new Linear(1, 2).init(backend, { seed: 1 });
  using diverged = new Linear(1, 2).init(backend);
  backend.fill(diverged.parameters.weight.tensor!, NaN);
  using optimizer = new SGD(diverged, { lr: 1 });
  const data = arrayDataset(Float32Array.of(1), [0], [1]);
  const trainer = new Trainer(diverged, data, { optimizer, batchSize: 1, epochs: 1 });
  const statistics = { mean: Float64Array.of(0), std: Float64Array.of(1e-320) };
  const tensor = { name: "a", dtype: "F32", shape: [1], data: Float32Array.of(1) } as const;
  const source = bytesSource(writeSafetensors([tensor]), "x");
  using file = await openWeights(source);
  using signal = await loadModel({ backend, weights: fixture("onnx/graphs/signal.onnx") });
  const preprocessing = { resize: 1, crop: 1, mean: [0, 0, 0], std: [1, 1, 1] } as const;
  const classes = [{ wnid: "", label: "a" }, { wnid: "", label: "b" }];
  using flat = new Classifier([new Flatten(), new Linear(3, 2)], { preprocessing, classes });
  using one = new Classifier([new Flatten(), new Linear(3, 1)], {
    preprocessing,
    classes: classes.slice(1),
  }).init(backend);
  const score = { loss: NaN, correct: 0, confusion: [] };
  const from = "start from other weights with --from";
  const errors: [fails: () => unknown, line: string][] = [
    [
      () => trainer.step(),
      `the loss is NaN in fine-tuning; leave out --fine-tune, or ${from}`,
    ],
    [() => lowestLoss([score]), `no weight decay gives a finite loss; ${from}`],
    [
      () => foldedWeights(linear.eval(), statistics),
      "the new last layer has weights that are not finite: its features are too large or too " +
      `small; ${from}`,
    ],
    [
      () => recognize(file),
      "x: holds the tensor a [1], which no known network has; if it is a known network, " +
      "name it with --model; otherwise use other weights, or export the network as ONNX",
    ],
    [
      () => new RelatedFiles(source).open("y"),
      "x: needs the file y; download both into one folder, and pass the path",
    ],
    [
      () => signal.classify(new Float32Array(40)),
      "OnnxNetwork: cannot classify images, because it takes [N, 2, 20]; use another network",
    ],
    [
      () => one.classify(new Float32Array(3)),
      "Classifier: cannot classify with one class; pass --classes FILE with the names of two classes",
    ],
    [
      () => featureMapIndex(flat),
      "Classifier: Grad-CAM needs a layer with an output of more than one pixel that all paths " +
      "lead through, and there is none; use --method saliency",
    ],
  ];
  for (const [fails, line] of errors) {
    // deno-lint-ignore require-await -- some fail at once
    assertEquals(errorLine(await assertRejects(async () => fails(), PembrokeError)), line);
  }
});

Deno.test("oneLine() joins lines, and long runs of spaces take no time", () => {
  assertEquals(oneLine("a \n\n  b\nc d"), "a b c d");
  const spaces = " ".repeat(1e6);
  assertEquals(oneLine(`a${spaces}b`), `a${spaces}b`);
});

Deno.test("errors of the system say neither their number nor the call, and some files are no URLs", () => {
  const message = (error: unknown) => (error as FileError).message;
  const full = new Error("No space left on device (os error 28), write 'a.npy'");
  const enospc = Object.assign(full, { code: "ENOSPC" });
  assertEquals(message(asWriteError("a.npy", enospc)), "a.npy: no space left on device");
  const missing = Object.assign(new Deno.errors.NotFound(), { code: "ENOENT" });
  const url = "https://a.test/b.npy";
  for (const convert of [asFileError, asWriteError]) {
    assertEquals(message(convert(url, missing)), `${url}: is a URL, must be a path`);
    const bug = new TypeError("x is undefined");
    assertEquals(convert("a", bug), bug);
  }
  assertEquals(message(asFileError("a", missing)), "a: no such file");
  assertEquals(message(asWriteError("a/b", missing)), "a/b: its folder does not exist");
  const nul = Object.assign(new Error("file name contained an unexpected NUL byte: open 'a'"), {
    code: "EINVAL",
  });
  assertEquals(message(asFileError("a", nul)), "a: file name contained an unexpected NUL byte");
  const enxio = new Error("No such device or address (os error 6): open '/dev/tty'"); // without a code
  for (const convert of [asFileError, asWriteError]) {
    assertEquals(message(convert("/dev/tty", enxio)), "/dev/tty: no such device or address");
  }
});

Deno.test("errors of Windows are told by their code, because some have no class", () => {
  const message = (error: unknown) => (error as FileError).message;
  const failed = (text: string, code: string) => Object.assign(new Error(text), { code });
  const name = failed("The filename syntax is incorrect. (os error 123): stat 'a?.png'", "ENOENT");
  assertEquals(message(asFileError("a?.png", name)), "a?.png: no such file");
  assertEquals(message(asWriteError("a?", name)), "a?: is not a name that the system allows");
  const folder = failed("Incorrect function. (os error 1): readfile 'a'", "EISDIR");
  assertEquals(message(asFileError("a", folder)), "a: is a folder");
  const used = failed("Another process uses the file. (os error 32): open 'a'", "EBUSY");
  assertEquals(message(asFileError("a", used)), "a: another process uses the file");
  const denied = Object.assign(new Deno.errors.PermissionDenied(), { code: "EPERM" });
  const line = "a: not writable (file permissions, or another program uses it)";
  assertEquals(message(asWriteError("a", denied, "windows")), line);
});
