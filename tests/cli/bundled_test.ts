/** The command with the bundled model. */

import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "../assert.ts";
import { cli, fixture, run, TempFolder } from "./run.ts";

const photo = (name: string) => fileURLToPath(new URL(`../photos/${name}`, import.meta.url));

/** The labels of the predictions for photographs, the most probable first. */
async function labels(...photos: string[]): Promise<string[][]> {
  const { code, stdout } = await run(["-q", "--jsonl", ...photos.map(photo)]);
  assertEquals(code, 0);
  return stdout.trimEnd().split("\n").map((line) =>
    JSON.parse(line).predictions.map(({ label }: { label: string }) => label)
  );
}

Deno.test("the bundled model recognises an espresso, and almost a cat", async () => {
  const [cat, coffee] = await labels("chelsea.png", "coffee.jpg");
  assert(cat.slice(0, 2).includes("Egyptian cat"), cat.join("; "));
  assertEquals(coffee[0], "espresso", coffee.join("; "));
});

Deno.test("the command names the bundled model, and how to get more classes", async () => {
  const args = ["--offline", "-k", "2", fixture("image/images/one-pixel.jpg")];
  const { code, stdout, stderr } = await run(args);
  assertEquals([code, stdout.split("\n").length], [0, 4]);
  const [model, hint, end] = stderr.split("\n");
  assertMatch(model, /^resnet-tiny int8, bundled, wasm \(.+\), \d+ threads?$/);
  const command = "deno run -A cli.ts pull squeezenet (not downloaded: --offline)";
  assertEquals(hint, `200 classes; for ImageNet's 1000, run: ${command}`);
  assertEquals(end, "");
  assertEquals((await run(["-q", ...args])).stderr, "");
});

Deno.test("the command to get more classes works in any folder", async () => {
  await using folder = await TempFolder.make();
  const args = ["--offline", fixture("image/images/one-pixel.jpg")];
  for (
    const [cwd, flags, name] of [
      [folder.path, ["-A"], pathToFileURL(cli).href],
      [dirname(cli), ["-A"], "cli.ts"],
      // the folder is not known
      [folder.path, ["--no-prompt", `--allow-read=${dirname(cli)}`], "cli.ts"],
    ] as const
  ) {
    const { stderr } = await run(args, { cwd, flags });
    assertStringIncludes(stderr, `run: deno run -A ${name} pull squeezenet (`);
  }
});

Deno.test("JSON names the bundled model", async () => {
  const { stdout } = await run(["--json", "-q", photo("rocket.jpg")]);
  const { model, weights, results } = JSON.parse(stdout);
  assertEquals([model, weights], ["resnet-tiny", "bundled"]);
  assertEquals(results[0].predictions.length, 5);
});

Deno.test("--weights accepts the bundled file, and --random its architecture", async () => {
  const file = fileURLToPath(new URL("../../weights/resnet_tiny.safetensors", import.meta.url));
  const image = photo("chelsea.png");
  const bundled = await run(["-q", image]);
  for (const args of [[], ["-m", "resnet-tiny"]]) {
    assertEquals(await run(["-q", "--weights", file, ...args, image]), bundled);
  }
  const { code, stderr } = await run(["-m", "resnet-tiny", "--random", "--seed", "1", image]);
  assertEquals(code, 0);
  assertStringIncludes(stderr, "resnet-tiny, random (seed 1), wasm");
  const wrong = await run(["-q", "-m", "alexnet", "--weights", file, image]);
  assertEquals(wrong.code, 1);
  assertMatch(wrong.stderr, /resnet_tiny\.safetensors: .* not weights for alexnet; export .+\n$/);
});

Deno.test("the bundled model needs only permission to read", async () => {
  const flags = ["--no-prompt", "--allow-read"];
  const { code, stderr } = await run(["-q", photo("rocket.jpg")], { flags });
  assertEquals([code, stderr], [0, ""]);
});
