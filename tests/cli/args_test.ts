import { type Options, readArgs, readCommand } from "../../src/cli/args.ts";
import { usage } from "../../src/cli/usage.ts";
import { networkOf } from "../../src/cli/model_name.ts";
import { UsageError } from "../../src/cli/errors.ts";
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../assert.ts";

const usageError = (...args: string[]) => assertThrows(() => readArgs(args), UsageError).message;
const readOptions = (args: readonly string[]) => readArgs(args) as Options;
const read = (...args: string[]) => readOptions(["--random", ...args]);

Deno.test("readArgs() has a default for everything but inputs", () => {
  assertEquals(readArgs(["cat.jpg"]), {
    command: "classify",
    inputs: ["cat.jpg"],
    filesFrom: undefined,
    resume: undefined,
    shard: undefined,
    model: undefined,
    weights: undefined,
    base: undefined,
    classes: undefined,
    preprocessing: undefined,
    seed: undefined,
    topK: 5,
    backend: "auto",
    precision: undefined,
    features: false,
    output: undefined,
    serve: undefined,
    format: "text",
    offline: false,
    quiet: false,
    verbose: false,
  });
});

Deno.test("readArgs() accepts long and short options, before and after inputs", () => {
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

Deno.test("readArgs() accepts weights and a model", () => {
  const { weights, model, seed } = readOptions(["cat.jpg", "--weights", "a.pth", "-m", "alexnet"]);
  assertEquals([weights, model, seed], ["a.pth", "alexnet", undefined]);
  assertEquals(readOptions(["-m", "alexnet-tiny", "cat.jpg"]).model, "alexnet-tiny");
  assertEquals(read("-m", "alexnet", "cat.jpg").model, "alexnet");
  assertEquals(readOptions(["summary", "-m", "alexnet"]).model, "alexnet");
});

Deno.test("readArgs() defaults to classify", () => {
  assertEquals(read("classify", "--seed=1", "a.png"), read("--seed=1", "a.png"));
  assertEquals(readArgs(["summary"]).command, "summary");
  assertEquals(read("./summary").inputs, ["./summary"]);
  assertEquals(read("a.png", "summary").inputs, ["a.png", "summary"]);
});

Deno.test("readArgs() accepts --host and --port for serve only", () => {
  const listens = readOptions(["serve", "--host", "0.0.0.0", "--port=0"]).serve;
  assertEquals([listens?.host, listens?.port], ["0.0.0.0", 0]);
  assertEquals(readOptions(["serve", "--weights=a.pth", "--precision=int8"]).weights, "a.pth");
  const notServe = "is for serve, not for classify; leave it out";
  assertEquals(usageError("a.png", "--port=1"), `--port ${notServe}`);
  assertEquals(usageError("a.png", "--memory=1GB"), `--memory ${notServe}`);
  const { serve } = readOptions(
    ["serve", "--max-bytes=1.5MiB", "--max-pixels=9", "--memory=2gb", "--cors=https://a.org/"],
  );
  const limits = { maxBytes: 1572864, maxPixels: 9, memory: 2e9, cors: "https://a.org" };
  assertEquals(serve, { host: "127.0.0.1", port: 8000, ...limits });
  for (const text of ["0", "-1", "1TB", "x", "", "1e9"]) {
    assertEquals(
      usageError("serve", `--memory=${text}`),
      `--memory is "${text}", must be a number of bytes, such as 20MB`,
    );
  }
  for (const text of ["", "a.org", "https://a.org/b", "null", "file:///a"]) {
    assertMatch(usageError("serve", `--cors=${text}`), /^--cors is ".*", must be \* or an origin/);
  }
  assertEquals(
    usageError("serve", "a.png"),
    'serve takes no images, got "a.png"; name a model with -m or --weights',
  );
  assertEquals(
    usageError("serve", "--port=65536"),
    '--port is "65536", must be an integer from 0 to 65535',
  );
  assertEquals(
    usageError("serve", "--port=x"),
    '--port is "x", must be an integer from 0 to 65535',
  );
});

Deno.test("readArgs() accepts --files-from and --resume for classify only", () => {
  const { inputs, filesFrom, resume, format } = read("--files-from=-", "--resume", "out.jsonl");
  assertEquals([inputs, filesFrom, resume, format], [[], "-", "out.jsonl", "jsonl"]);
  assertEquals(read("--files-from", "list.txt", "a.png").inputs, ["a.png"]);
  assertEquals(
    usageError("--json", "--resume=o", "a.png"),
    "--json and --resume cannot be combined",
  );
  assertMatch(usageError("-", "--resume=o"), /^--resume cannot tell one image of standard input/);
  assertEquals(
    usageError("--files-from=-", "-"),
    "- and --files-from - read standard input; use only one of them, once",
  );
});

Deno.test("readArgs() accepts --shard for classify only", () => {
  assertEquals(read("a.png", "--shard", "3/16").shard, { number: 3, count: 16 });
  assertEquals(read("a.png", "--shard=1/1").shard, { number: 1, count: 1 });
  for (const text of ["0/4", "5/4", "1/0", "-1/4", "1.5/4", "4", "1/", "/4", "1/2/3", "a/b", ""]) {
    assertEquals(
      usageError("a.png", `--shard=${text}`),
      `--shard is "${text}", must be N/M with N from 1 to M, such as 3/16`,
    );
  }
});

Deno.test("readArgs() refuses options that a command does not use, also with their default values", () => {
  const used = {
    classify: "classes seed top-k backend precision files-from resume shard features method show " +
      "show-as output json jsonl verbose",
    evaluate: "classes seed backend precision html json jsonl verbose",
    explain: "classes seed top-k backend precision class method show show-as output html verbose",
    serve: "classes seed backend precision host port max-bytes max-pixels memory cors verbose",
    summary: "json jsonl",
  };
  const values: Record<string, string> = { "top-k": "5", "backend": "auto", "port": "8000" };
  const names = new Set(Object.values(used).flatMap((names) => names.split(" ")));
  for (const [command, own] of Object.entries(used)) {
    for (const name of names) {
      const flags = ["features", "show", "json", "jsonl", "verbose"];
      const option = `--${name}${flags.includes(name) ? "" : `=${values[name] ?? "1"}`}`;
      let message = "";
      try {
        readArgs([command, option, ...command === "serve" || command === "summary" ? [] : ["a"]]);
      } catch (error) {
        message = (error as Error).message;
      }
      const refused = new RegExp(`^--${name} is for .*, not for ${command}; leave it out$`);
      assertEquals(refused.test(message), !own.split(" ").includes(name), `${command} ${option}`);
    }
  }
  assertEquals(
    usageError("serve", "-k3"),
    "--top-k is for classify and explain, not for serve; leave it out",
  );
  assertEquals(
    usageError("summary", "--precision=int8"),
    "--precision is for classify, evaluate, explain and serve, not for summary; leave it out",
  );
  for (const option of ["--json", "--resume=o", "-k3", "--classes=c"]) {
    assertMatch(usageError("--features", option, "a"), /^--features and .* cannot be combined$/);
  }
  assertEquals(
    usageError("--features", "--jsonl", "-o", "a.npy", "a"),
    "--output and --jsonl cannot be combined",
  );
});

Deno.test("readCommand() names the command that lacks an option, and knows --version and -v first", async () => {
  for (const command of ["pull", "models", "rm", "convert", "quantize", "learn"]) {
    await assertRejects(
      () => readCommand(["-v", command, "--top-k=3"]),
      UsageError,
      ` of ${command}; see --help`,
    );
    assertEquals((await readCommand([command, "--version"])).command, "version");
  }
});

Deno.test("readArgs() treats - and everything after -- as inputs", () => {
  assertEquals(read("--", "-k.png", "--json").inputs, ["-k.png", "--json"]);
  assertEquals(read("-").inputs, ["-"]);
});

Deno.test("readArgs() picks a random seed by default", () => {
  const seeds = Array.from({ length: 4 }, () => read("a.png").seed!);
  assert(new Set(seeds).size > 1, `${seeds}`);
  assertEquals(read("--seed", "0", "a.png").seed, 0);
  assertEquals(read("--seed", "4294967295", "a.png").seed, 2 ** 32 - 1);
  assertEquals(readOptions(["--weights", "w.pth", "a.png"]).seed, undefined);
});

Deno.test("readArgs() gives --help and --version precedence", () => {
  assertEquals(readArgs(["--help"]).command, "help");
  assertEquals(readArgs(["summary", "-h", "x"]).command, "help");
  assertEquals(readArgs(["help"]).command, "help");
  assertEquals(readArgs(["help", "learn"]).command, "help");
  assertEquals(read("./help").command, "classify");
  assertEquals(read("classify", "help").inputs, ["help"]);
  assertEquals(readArgs(["--version", "--seed", "1", "--json", "--jsonl"]).command, "version");
});

Deno.test("readArgs() rejects missing and empty inputs", () => {
  assertEquals(usageError(), "no image given; see --help");
  assertEquals(usageError("classify", "--random"), "no image given; see --help");
  assertEquals(
    usageError("--random", "a.png", ""),
    "an input is empty; is a variable unset?",
  );
  assertEquals(usageError("--weights", "", "a.png"), "--weights is empty, must be a file or URL");
  assertEquals(usageError("summary", "--weights="), "--weights is empty, must be a file or URL");
  for (const name of ["classes", "files-from", "resume"]) {
    assertEquals(usageError(`--${name}=`, "a.png"), `--${name} is empty, must be a file`);
  }
  assertEquals(
    usageError("--base=", "--weights=a", "a.png"),
    "--base is empty, must be a file or URL",
  );
  assertEquals(usageError("evaluate", "a", "--html="), "--html is empty, must be a file");
  assertEquals(
    usageError("evaluate", "a", "--html=b.png"),
    '--html is "b.png", must end in .html',
  );
  assertEquals(usageError("evaluate", ""), "an input is empty; is a variable unset?");
  assertEquals(
    usageError("-", "a.png", "-"),
    "- and --files-from - read standard input; use only one of them, once",
  );
});

Deno.test("readArgs() rejects fields of --preprocessing that do not exist", () => {
  const fields = { resize: 8, cropWidth: 7, mean: [0, 0, 0], rounding: "caffe" };
  assertEquals(read("--preprocessing", JSON.stringify(fields), "a.png").preprocessing?.mean, [
    0,
    0,
    0,
  ]);
  for (const json of ['{"Crop":227}', '{"crop":227,"size":1}', '{"__proto__":{}}']) {
    assertMatch(
      usageError("--preprocessing", json, "a.png"),
      /^a field of --preprocessing is "(Crop|size|__proto__)", must be resize, .+ or rounding$/,
    );
  }
});

Deno.test("readArgs() rejects options that cannot be combined", () => {
  const both = (a: string, b: string) => `${a} and ${b} cannot be combined`;
  assertEquals(usageError("--random", "--weights=a", "x"), both("--random", "--weights"));
  assertEquals(usageError("--random", "--json", "--jsonl", "x"), both("--json", "--jsonl"));
  assertEquals(usageError("--random", "-qv", "x"), both("--quiet", "--verbose"));
  assertEquals(usageError("--weights=a", "--seed=1", "x"), "--seed needs --random");
  assertEquals(
    usageError("summary", "resnet50"),
    'summary takes no images, got "resnet50"; name a model with -m or --weights',
  );
});

Deno.test("readArgs() rejects an invalid --top-k", () => {
  assertEquals(usageError("-k", "a.png"), '--top-k is "a.png", must be a positive integer');
  for (const text of ["0", "1e3", "-1", "2.5", "0x10", "five", "", " 5", "9".repeat(20)]) {
    assertEquals(
      usageError("--random", `--top-k=${text}`, "x"),
      `--top-k is "${text}", must be a positive integer`,
    );
  }
});

Deno.test("readArgs() rejects an invalid --seed", () => {
  for (const text of ["-1", "1.5", "x", "4294967296", "9".repeat(20)]) {
    assertEquals(
      usageError("--random", `--seed=${text}`, "x"),
      `--seed is "${text}", must be an integer from 0 to 4294967295`,
    );
  }
});

Deno.test("readArgs() rejects unknown values and options, and lists the allowed values", () => {
  assertEquals(networkOf("squeezenet"), "squeezenet1_0");
  assertEquals(networkOf("alexnet-tiny"), "alexnet-tiny");
  assertMatch(
    assertThrows(() => networkOf("zzz"), UsageError).message,
    /^--model is "zzz", must be alexnet, alexnet-compressed, .* or wide_resnet50_2$/,
  );
  assertThrows(
    () => networkOf("Alexnet_Compressed"),
    UsageError,
    '--model is "Alexnet_Compressed", must be a name in docs/networks.md, such as alexnet-compressed',
  );
  const backend = usageError("--random", "--backend=cuda", "x");
  assertStringIncludes(backend, '--backend is "cuda", must be auto, wasm or webgpu');
  const precision = usageError("--random", "--precision=int4", "x");
  assertEquals(precision, '--precision is "int4", must be f32, f16 or int8');
  assertEquals(
    usageError("--random", "--topk", "x"),
    "unknown option '--topk'; did you mean --top-k?",
  );
  assertEquals(
    usageError("convert", "--precison=f16", "a", "b"),
    "unknown option '--precison'; did you mean --precision?",
  );
  for (const option of ["--colour", "-x", "--no-random"]) {
    assertEquals(
      usageError("--random", option, "x"),
      `unknown option '${option}'; see --help`,
    );
  }
});

Deno.test("readArgs() rejects missing and unexpected option values", () => {
  const missing = (option: string) => `${option} needs a value: ${option}=VALUE`;
  assertEquals(usageError("x", "--weights"), missing("--weights"));
  assertEquals(usageError("x", "--weights", "--random"), missing("--weights"));
  assertEquals(usageError("x", "--random", "--seed", "-1"), missing("--seed"));
  assertEquals(usageError("x", "-k"), missing("--top-k"));
  assertStringIncludes(
    usageError("x", "--json=yes"),
    '--json takes no value, got "yes"; leave it out',
  );
});

Deno.test("the help text lists every option, in lines of up to 80 columns", () => {
  const names =
    "model weights random seed top-k backend precision host port json jsonl files-from resume shard classes max-bytes max-pixels memory cors offline quiet verbose no-color help version";
  for (const name of names.split(" ")) assertStringIncludes(usage, `--${name}`);
  for (const line of usage.split("\n")) assert(line.length <= 80, line);
});
