import { fileURLToPath } from "node:url";
import { readArgs } from "../../weights/recipe/options.ts";
import { recipes } from "../../weights/recipe/recipe.ts";
import { formatProgress, main } from "../../weights/recipe/train.ts";
import { parseLog } from "../../weights/recipe/log.ts";
import { UsageError } from "../../weights/recipe/task.ts";
import { assert, assertEquals, assertMatch, assertThrows } from "../assert.ts";
import { runHere, runTask } from "./tasks.ts";

const data = fileURLToPath(new URL("../fixtures/recipe", import.meta.url));

/** The arguments of the task for 12 images of 2 classes. */
const argsOf = (out: string) => ["--data", data, "--out", out, "--threads", "1"];

/** Runs the task in this process. */
const train = (out: string, ...args: string[]) => runHere(main, ...argsOf(out), ...args);

/** Reads the log of a run without the speed. */
async function readLog(out: string) {
  const rows = parseLog(await Deno.readTextFile(`${out}/log.tsv`), out);
  return rows.map(({ imagesPerSecond, seconds, ...row }) => {
    assert(imagesPerSecond > 0 && seconds >= 0);
    return row;
  });
}

Deno.test("a resumed run gives the log of an uninterrupted run", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [whole, parts] = [`${folder}/whole`, `${folder}/parts`];
    const network = ["--network", "alexnet-tiny"];
    const recipe = [...network, "--epochs", "3", "--batch", "5", "--lr", "0.02", "--seed", "4"];
    assertEquals((await train(whole, ...recipe)).code, 0);
    const expected = await readLog(whole);
    assertEquals(expected.map(({ epoch }) => epoch), [1, 2, 3]);
    assert(expected[2].loss !== expected[0].loss);

    assertEquals((await train(parts, ...recipe, "--stop", "1")).code, 0);
    assertEquals(await readLog(parts), expected.slice(0, 1));

    const again = await runTask("train", ...argsOf(parts), ...recipe); // as a program
    assertEquals(again.code, 2);
    assertMatch(again.stderr, /error: .*checkpoint.safetensors exists; continue it with --resume/);
    const other = await train(parts, "--resume", "--epochs", "4");
    assertEquals(other.code, 1);
    assertMatch(other.stderr, /its run has epochs 3, not 4/);

    // An interrupted run may write a row of the log before its checkpoint. It must be dropped.
    const log = await Deno.readTextFile(`${parts}/log.tsv`);
    const ahead = log.trimEnd().split("\n")[1].replace(/^1\t/, "2\t");
    await Deno.writeTextFile(`${parts}/log.tsv`, `${log}${ahead}\n`);
    assertEquals((await train(parts, "--resume")).code, 0);
    assertEquals(await readLog(parts), expected);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("train reports invalid options in one line", () => {
  const assertUsageError = (args: string[], message: string) =>
    assertThrows(() => readArgs(["--data", "x", ...args]), UsageError, message);
  assertUsageError(["--epochs", "0"], '--epochs is "0", must be an integer of at least 1');
  assertUsageError(["--batch", "1"], '--batch is "1", must be an integer of at least 2');
  assertUsageError(["--lr", "x"], '--lr is "x", must be a number from 0 to 1');
  assertUsageError(["--threads", "many"], '--threads is "many"');
  assertUsageError(["--colour"], "--colour");
  assertUsageError(["--network", "vgg"], '--network is "vgg", must be alexnet-tiny or resnet-tiny');
  assertThrows(() => readArgs([]), UsageError, "--data FOLDER is missing");
  const options = readArgs(["--data", "x", "--lr", "0.05", "--per-class", "3"]);
  assertEquals(options?.overrides, { lr: 0.05, perClass: 3 });
  assertEquals(options?.out, "runs/resnet-tiny");
  const other = readArgs(["--data", "x", "--network", "alexnet-tiny", "--hold-out", "0"]);
  assertEquals(other?.overrides, { network: "alexnet-tiny", holdOut: 0 });
  assertEquals(other?.out, "runs/alexnet-tiny");
});

Deno.test("train exits with code 1 when the data is missing", async () => {
  const out = await Deno.makeTempDir();
  try {
    assertEquals(await main(["--", "--data", "/nowhere", "--out", out]), 1);
  } finally {
    await Deno.remove(out, { recursive: true });
  }
});

Deno.test("formatProgress() formats one line", () => {
  const progress = {
    epoch: 1,
    epochs: 10,
    batch: 5,
    batches: 40,
    loss: 1.23456,
    accuracy: 0.5,
    lr: 0.1,
    imagesPerSecond: 99.7,
    secondsLeft: 125,
  };
  const recipe = { ...recipes["alexnet-tiny"], epochs: 10 };
  const text = "epoch 2/10, batch 5/40, loss 1.2346, accuracy 50.00 %, 100 images/s, ";
  assertEquals(formatProgress(progress, recipe), `${text}2:05 left`);
  // half of the second of four epochs, then two with four times as many pixels
  const growing = { ...recipe, epochs: 4, sizes: [[32, 0.5], [64, 1]] } as const;
  const middle = { ...progress, epochs: 4, batch: 20, secondsLeft: 250 };
  assertMatch(formatProgress(middle, growing), / 14:10 left$/);
  assertMatch(formatProgress({ ...middle, epoch: 3, batch: 40, secondsLeft: 0 }, growing), / 0:00/);
});
