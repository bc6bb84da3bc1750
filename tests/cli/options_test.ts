import denoJson from "../../deno.json" with { type: "json" };
import { usage, usageOf } from "../../src/cli/usage.ts";
import { assert, assertEquals, assertMatch } from "../assert.ts";
import { fixture, run, theError } from "./run.ts";

Deno.test("--help and --version print to standard output and exit with 0", async () => {
  for (const option of ["--help", "-h"]) {
    assertEquals(await run([option]), { code: 0, stdout: `${usage}\n`, stderr: "" });
  }
  const stdout = `pembroke ${denoJson.version}\n`;
  assertEquals(await run(["--version"]), { code: 0, stdout, stderr: "" });
});

Deno.test("--help after a command prints only what it takes", async () => {
  const commands = "classify explain learn evaluate serve summary pull models rm convert quantize";
  const sections = (text: string) => text.match(/^\w+ options(?= that|)/gm) ?? [];
  const own: Record<string, string> = { Model: "classify explain evaluate serve summary" };
  for (const command of commands.split(" ")) {
    const help = usageOf(command);
    assertMatch(
      help,
      RegExp(`^[A-Z].+\\.\n\nUsage: deno run -A cli\\.ts \\[?${command}\\b.*\n\n`, "s"),
    );
    for (const section of sections(help)) {
      const [name] = section.split(" ");
      const fits = own[name]?.includes(command) ??
        (name === "General" || name.toLowerCase() === command);
      assert(fits, `${command}: ${section}`);
    }
    const hasOwn = sections(usage).some((text) => text.toLowerCase() === `${command} options`);
    assertEquals(
      sections(help).some((text) => text.toLowerCase() === `${command} options`),
      hasOwn,
    );
  }
  assert(!usageOf("summary").includes("--seed"));
  for (const name of [undefined, "", "photo.jpg", "[a", "the"]) assertEquals(usageOf(name), usage);
  const learn = { code: 0, stdout: `${usageOf("learn")}\n`, stderr: "" };
  for (const args of [["learn", "-h"], ["-q", "learn", "x", "--help"], ["help", "learn"]]) {
    assertEquals(await run(args), learn);
  }
  assertEquals((await run(["serve", "--help"])).stdout, `${usageOf("serve")}\n`);
});

Deno.test("a misspelled command is a missing file, with a hint", async () => {
  for (
    const [word, command] of [["clasify", "classify"], ["explian", "explain"], ["pul", "pull"]]
  ) {
    const { stderr } = await run(["-m", "resnet-tiny", "-q", word]);
    assertEquals(stderr, `error: ${word}: no such file; did you mean the command ${command}?\n`);
  }
  const { stderr } = await run(["-m", "resnet-tiny", "-q", "photos"]);
  assertEquals(stderr, "error: photos: no such file\n");
});

Deno.test("help of an unknown command exits with 2, and names a similar one", async () => {
  assertEquals(
    theError(await run(["help", "foo"]), 2),
    'there is no command "foo"; see --help',
  );
  assertEquals(
    theError(await run(["help", "lern"]), 2),
    'there is no command "lern"; did you mean learn?',
  );
  assertEquals(await run(["help", "help"]), { code: 0, stdout: `${usage}\n`, stderr: "" });
});

Deno.test("wrong usage exits with 2 and one error", async () => {
  assertEquals(theError(await run([]), 2), "no image given; see --help");
  const alexnet = await run(["-m", "alexnet", "x.png"]);
  assertMatch(
    theError(alexnet, 2),
    /^alexnet is not in the cache; to download it, run: deno run -A cli.ts pull alexnet$/,
  );
  assertEquals(
    theError(await run(["-m", "mine.safetensors", "x.png"]), 2),
    '--model is "mine.safetensors", must be a name; for files, use --weights',
  );
  assertMatch(theError(await run(["--random", "-k", "0", "x.png"]), 2), /^--top-k is "0", must/);
  assertEquals(
    theError(await run(["--colour", "x.png"]), 2),
    "unknown option '--colour'; see --help",
  );
});

Deno.test("summary prints the layers of AlexNet with parameters and multiply-adds", async () => {
  const { code, stdout, stderr } = await run(["summary", "--model", "alexnet"]);
  assertEquals([code, stderr], [0, ""]);
  assertEquals((await run(["summary", "--random"])).stdout, stdout);
  const file = await run(["summary", "--weights", fixture("models/narrow_alexnet.pth")]);
  assertEquals(file.stdout, stdout); // a file without a description is assumed to be AlexNet
  const lines = stdout.split("\n").map((line) => line.trim().replace(/ {2,}/g, " | "));
  assertEquals(lines[0], "alexnet, input 3×224×224");
  assertEquals(lines[2], "features.0 | Conv2d | 64×55×55 | 23,296 | 70,276,800");
  assertEquals(lines.at(-3), "total | 61,100,840 | 714,188,480");
  assertEquals(lines.at(-2), "last layer classifier.6: 4096 → 1000 features");
});

Deno.test("summary prints the layers of the bundled model by default", async () => {
  const { code, stdout, stderr } = await run(["summary"]);
  assertEquals([code, stderr], [0, ""]);
  const lines = stdout.split("\n");
  assertEquals(lines[0], "resnet-tiny, input 3×64×64");
  assertEquals(lines.at(-2), "last layer fc: 384 → 200 features");
  assertEquals((await run(["summary", "--model", "resnet-tiny"])).stdout, stdout);
  const larger = await run(["summary", "--preprocessing", '{"crop":96}']);
  assertEquals(larger.stdout.split("\n")[0], "resnet-tiny, input 3×96×96");
});

Deno.test("summary --json and --jsonl print one line of JSON", async () => {
  const { code, stdout, stderr } = await run(["summary", "-m", "alexnet", "--json"]);
  assertEquals([code, stderr], [0, ""]);
  const { layers, ...sums } = JSON.parse(stdout);
  assertEquals(sums, {
    model: "alexnet",
    inputShape: [1, 3, 224, 224],
    parameters: 61100840,
    macs: 714188480,
    lastLayer: { name: "classifier.6", inFeatures: 4096, outFeatures: 1000 },
  });
  assertEquals(layers[0], {
    name: "features.0",
    type: "Conv2d",
    outputShape: [1, 64, 55, 55],
    parameters: 23296,
    macs: 70276800,
  });
  assertEquals((await run(["summary", "-m", "alexnet", "--jsonl"])).stdout, stdout);
});
