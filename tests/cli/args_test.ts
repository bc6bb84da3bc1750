import { type Options, readArgs, usage } from "../../src/cli/args.ts";
import { UsageError } from "../../src/cli/errors.ts";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "../assert.ts";

const complaint = (...args: string[]) => assertThrows(() => readArgs(args), UsageError).message;
const read = (...args: string[]): Options => readArgs(["--random", ...args]);

Deno.test("readArgs() has a default for everything but inputs", () => {
  assertEquals(readArgs(["cat.jpg"]), {
    command: "classify",
    inputs: ["cat.jpg"],
    filesFrom: undefined,
    resume: undefined,
    shard: undefined,
    model: undefined,
    weights: undefined,
    seed: undefined,
    topK: 5,
    backend: "auto",
    precision: undefined,
    format: "text",
    host: "127.0.0.1",
    port: 8000,
    quiet: false,
    verbose: false,
  });
});

Deno.test("readArgs() takes long and short options, before and after inputs", () => {
  const long = read(
    "--seed=7",
    "--top-k",
    "3",
    "--model",
    "alexnet",
    "a.png",
    "--verbose",
    "b.png",
  );
  assertEquals(read("--seed", "7", "a.png", "-k3", "-m", "alexnet", "b.png", "-v"), long);
  assertEquals(long.inputs, ["a.png", "b.png"]);
  assertEquals([long.seed, long.topK, long.verbose], [7, 3, true]);
  assertEquals(read("-q", "--backend", "wasm", "a.png").backend, "wasm");
  assertEquals(read("--precision", "int8", "a.png").precision, "int8");
  assertEquals(read("--json", "a.png").format, "json");
  assertEquals(read("--jsonl", "--no-color", "a.png").format, "jsonl");
});

Deno.test("readArgs() takes weights and a model", () => {
  const { weights, model, seed } = readArgs(["cat.jpg", "--weights", "a.pth", "-m", "alexnet"]);
  assertEquals([weights, model, seed], ["a.pth", "alexnet", undefined]);
  assertEquals(readArgs(["-m", "alexnet-tiny", "cat.jpg"]).model, "alexnet-tiny");
  assertEquals(read("-m", "alexnet", "cat.jpg").model, "alexnet");
  assertEquals(readArgs(["summary", "-m", "alexnet"]).model, "alexnet");
});

Deno.test("readArgs() takes the command's name or leaves it out", () => {
  assertEquals(read("classify", "--seed=1", "a.png"), read("--seed=1", "a.png"));
  assertEquals(readArgs(["summary"]).command, "summary");
  assertEquals(read("./summary").inputs, ["./summary"]);
  assertEquals(read("a.png", "summary").inputs, ["a.png", "summary"]);
});

Deno.test("readArgs() takes where to listen, for serve alone", () => {
  const { command, host, port } = readArgs(["serve", "--host", "0.0.0.0", "--port=0"]);
  assertEquals([command, host, port], ["serve", "0.0.0.0", 0]);
  assertEquals(readArgs(["serve", "--weights=a.pth", "--precision=int8"]).weights, "a.pth");
  assertEquals(complaint("a.png", "--port=1"), "--host and --port go with serve");
  assertEquals(complaint("serve", "a.png"), 'serve takes no input, got "a.png"');
  assertEquals(complaint("serve", "--port=65536"), '--port is "65536", must be less than 65536');
  assertEquals(complaint("serve", "--port=x"), '--port is "x", must be an integer from 0 on');
});

Deno.test("readArgs() takes a list of inputs and a file to go on with", () => {
  const { inputs, filesFrom, resume, format } = read("--files-from=-", "--resume", "out.jsonl");
  assertEquals([inputs, filesFrom, resume, format], [[], "-", "out.jsonl", "jsonl"]);
  assertEquals(read("--files-from", "list.txt", "a.png").inputs, ["a.png"]);
  assertEquals(
    complaint("--json", "--resume=o", "a.png"),
    "--json and --resume exclude each other",
  );
  const wrongCommand = "--files-from, --resume and --shard are only for classify";
  assertEquals(complaint("serve", "--resume=o"), wrongCommand);
  assertEquals(complaint("summary", "--files-from=-"), wrongCommand);
  assertEquals(
    complaint("--files-from=-", "-"),
    "- is an image and --files-from - a list: standard input is only one",
  );
});

Deno.test("readArgs() takes a shard for classify alone", () => {
  assertEquals(read("a.png", "--shard", "3/16").shard, { number: 3, count: 16 });
  assertEquals(read("a.png", "--shard=1/1").shard, { number: 1, count: 1 });
  for (const text of ["0/4", "5/4", "1/0", "-1/4", "1.5/4", "4", "1/", "/4", "1/2/3", "a/b", ""]) {
    assertEquals(
      complaint("a.png", `--shard=${text}`),
      `--shard is "${text}", must be N/M with N from 1 to M, such as 3/16`,
    );
  }
  const wrongCommand = "--files-from, --resume and --shard are only for classify";
  for (const command of ["serve", "summary"]) {
    assertEquals(complaint(command, "--shard=1/2"), wrongCommand);
  }
});

Deno.test("readArgs() takes what follows -- as inputs, and - as one", () => {
  assertEquals(read("--", "-k.png", "--json").inputs, ["-k.png", "--json"]);
  assertEquals(read("-").inputs, ["-"]);
});

Deno.test("readArgs() picks another seed every time, unless given one", () => {
  const seeds = Array.from({ length: 4 }, () => read("a.png").seed!);
  assert(new Set(seeds).size > 1, `${seeds}`);
  assertEquals(read("--seed", "0", "a.png").seed, 0);
  assertEquals(read("--seed", "4294967295", "a.png").seed, 2 ** 32 - 1);
  assertEquals(readArgs(["--weights", "w.pth", "a.png"]).seed, undefined);
});

Deno.test("readArgs() lets --help and --version win", () => {
  assertEquals(readArgs(["--help"]).command, "help");
  assertEquals(readArgs(["summary", "-h", "x"]).command, "help");
  assertEquals(readArgs(["--version", "--seed", "1", "--json", "--jsonl"]).command, "version");
});

Deno.test("readArgs() says what to do without inputs", () => {
  assertEquals(complaint(), "no image given; --help shows how");
  assertEquals(complaint("classify", "--random"), "no image given; --help shows how");
  assertEquals(
    complaint("--random", "a.png", ""),
    "an input is empty; a variable without a value?",
  );
  assertEquals(complaint("--weights", "", "a.png"), "--weights is empty, must be a file");
  assertEquals(complaint("summary", "--weights="), "--weights is empty, must be a file");
});

Deno.test("readArgs() refuses options that exclude each other", () => {
  const both = (a: string, b: string) => `${a} and ${b} exclude each other`;
  assertEquals(complaint("--random", "--weights=a", "x"), both("--random", "--weights"));
  assertEquals(complaint("--random", "--json", "--jsonl", "x"), both("--json", "--jsonl"));
  assertEquals(complaint("--random", "-qv", "x"), both("--quiet", "--verbose"));
  assertEquals(complaint("--weights=a", "--seed=1", "x"), "--seed goes with --random");
  assertEquals(complaint("summary", "x.png"), 'summary takes no input, got "x.png"');
});

Deno.test("readArgs() refuses what is no count of classes", () => {
  for (const text of ["0", "1e3", "-1", "2.5", "0x10", "five", "", " 5", "9".repeat(20)]) {
    assertEquals(
      complaint("--random", `--top-k=${text}`, "x"),
      `--top-k is "${text}", must be an integer from 1 on`,
    );
  }
});

Deno.test("readArgs() refuses what is no seed", () => {
  for (const text of ["-1", "1.5", "x", "9".repeat(20)]) {
    assertEquals(
      complaint("--random", `--seed=${text}`, "x"),
      `--seed is "${text}", must be an integer from 0 on`,
    );
  }
  assertEquals(
    complaint("--random", "--seed=4294967296", "x"),
    '--seed is "4294967296", must be less than 4294967296',
  );
});

Deno.test("readArgs() refuses unknown models, backends, precisions and options, and names the known", () => {
  assertEquals(
    complaint("--random", "-m", "vgg", "x"),
    '--model is "vgg", must be alexnet or alexnet-tiny',
  );
  const backend = complaint("--random", "--backend=cuda", "x");
  assertStringIncludes(backend, '--backend is "cuda", must be auto, wasm or webgpu');
  const precision = complaint("--random", "--precision=int4", "x");
  assertEquals(precision, '--precision is "int4", must be f32, f16 or int8');
  for (const option of ["--topk", "-x", "--no-random"]) {
    assertEquals(
      complaint("--random", option, "x"),
      `Unknown option '${option}'; --help lists the options`,
    );
  }
});

Deno.test("readArgs() says when an option lacks its value, or has one too many", () => {
  const takes = (option: string) => `${option} takes a value: ${option}=VALUE`;
  assertEquals(complaint("x", "--weights"), takes("--weights"));
  assertEquals(complaint("x", "--weights", "--random"), takes("--weights"));
  assertEquals(complaint("x", "--random", "--seed", "-1"), takes("--seed"));
  assertEquals(complaint("x", "-k"), takes("--top-k"));
  assertStringIncludes(complaint("x", "--json=yes"), "does not take an argument");
});

Deno.test("the usage names every option, in lines that fit a terminal of 100 columns", () => {
  const names =
    "model weights random seed top-k backend precision host port json jsonl files-from resume shard quiet verbose no-color help version";
  for (const name of names.split(" ")) assertStringIncludes(usage, `--${name}`);
  for (const line of usage.split("\n")) assert(line.length <= 100, line);
});
