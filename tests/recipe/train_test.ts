import { readArgs } from "../../weights/recipe/options.ts";
import { main, progressText } from "../../weights/recipe/train.ts";
import { parseLog } from "../../weights/recipe/log.ts";
import { UsageError } from "../../weights/recipe/task.ts";
import { assert, assertEquals, assertMatch, assertThrows } from "../assert.ts";

const data = new URL("../fixtures/recipe", import.meta.url).pathname;

/** Runs the task on 12 images of 2 classes. */
async function train(out: string, ...args: string[]) {
  const script = new URL("../../weights/recipe/train.ts", import.meta.url).href;
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, "--data", data, "--out", out, "--threads", "1", ...args],
  });
  const { code, stderr } = await command.output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

/** What the numbers of a run say, without its speed. */
async function logged(out: string) {
  const rows = parseLog(await Deno.readTextFile(`${out}/log.tsv`), out);
  return rows.map(({ imagesPerSecond, seconds, ...row }) => {
    assert(imagesPerSecond > 0 && seconds >= 0);
    return row;
  });
}

Deno.test("a run that was stopped and resumed gives the log of one that was not", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [whole, parts] = [`${folder}/whole`, `${folder}/parts`];
    const recipe = ["--epochs", "3", "--batch", "5", "--lr", "0.02", "--seed", "4"];
    assertEquals((await train(whole, ...recipe)).code, 0);
    const expected = await logged(whole);
    assertEquals(expected.map(({ epoch }) => epoch), [1, 2, 3]);
    assert(expected[2].loss !== expected[0].loss);

    assertEquals((await train(parts, ...recipe, "--stop", "1")).code, 0);
    assertEquals(await logged(parts), expected.slice(0, 1));

    const again = await train(parts, ...recipe);
    assertEquals(again.code, 2);
    assertMatch(again.stderr, /error: .*checkpoint.safetensors is there; --resume goes on with it/);
    const other = await train(parts, "--resume", "--epochs", "4");
    assertEquals(other.code, 1);
    assertMatch(other.stderr, /the run has epochs 3, not 4/);

    // a row that the checkpoint has not reached was written by a run that broke off
    const log = await Deno.readTextFile(`${parts}/log.tsv`);
    const ahead = log.trimEnd().split("\n")[1].replace(/^1\t/, "2\t");
    await Deno.writeTextFile(`${parts}/log.tsv`, `${log}${ahead}\n`);
    assertEquals((await train(parts, "--resume")).code, 0);
    assertEquals(await logged(parts), expected);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the task refuses wrong options in a line", () => {
  const refused = (args: string[], message: string) =>
    assertThrows(() => readArgs(["--data", "x", ...args]), UsageError, message);
  refused(["--epochs", "0"], '--epochs is "0", must be an integer from 1 on');
  refused(["--batch", "1"], '--batch is "1", must be an integer from 2 on');
  refused(["--lr", "x"], '--lr is "x", must be a number from 0 to 1');
  refused(["--threads", "many"], '--threads is "many"');
  refused(["--colour"], "--colour");
  assertThrows(() => readArgs([]), UsageError, "no data given");
  const options = readArgs(["--data", "x", "--lr", "0.05", "--per-class", "3"]);
  assertEquals(options?.given, { lr: 0.05, perClass: 3 });
});

Deno.test("the task ends with 1 when the data is not there", async () => {
  const out = await Deno.makeTempDir();
  try {
    assertEquals(await main(["--", "--data", "/nowhere", "--out", out]), 1);
  } finally {
    await Deno.remove(out, { recursive: true });
  }
});

Deno.test("progressText() fits a line", () => {
  const text = progressText({
    epoch: 1,
    epochs: 10,
    batch: 5,
    batches: 40,
    loss: 1.23456,
    accuracy: 0.5,
    lr: 0.1,
    imagesPerSecond: 99.7,
    secondsLeft: 125,
  });
  assertEquals(
    text,
    "epoch 2/10, batch 5/40, loss 1.2346, accuracy 50.00 %, 100 images/s, 2:05 left",
  );
});
