/** The command with an ONNX model. */

import { assert, assertEquals, assertMatch } from "../assert.ts";
import golden from "../fixtures/models/golden.json" with { type: "json" };
import { fixture, run, theError } from "./run.ts";

const [waves, tiles] = golden.pictures;
const pictures = [waves, tiles].map(({ file }) => fixture(`models/${file}`));
const exported = fixture("onnx/torch.onnx"), caffe = fixture("onnx/caffe_12.onnx");

Deno.test("an ONNX model gives the predictions of the PyTorch model it was exported from", async () => {
  const { code, stdout, stderr } = await run(["--weights", exported, "--json", ...pictures]);
  assertEquals(code, 0);
  assertEquals(stderr.startsWith(`OnnxNetwork, ${exported}, wasm (`), true, stderr);
  const { model, weights, results } = JSON.parse(stdout);
  assertEquals([model, weights], ["onnx", exported]);
  for (const [i, { predictions }] of results.entries()) {
    const { top5 } = golden.pictures[i];
    assertEquals(predictions.map(({ index }: { index: number }) => index), top5);
  }
});

Deno.test("an ONNX model with 1000 classes uses ImageNet's labels, also in int8", async () => {
  for (const precision of ["f32", "int8"]) {
    const args = ["--weights", caffe, "--precision", precision, "--jsonl", "-k", "1"];
    const { code, stdout, stderr } = await run([...args, pictures[0]]);
    assertEquals(code, 0, stderr);
    assertMatch(JSON.parse(stdout).predictions[0].wnid, /^n\d{8}$/);
  }
});

Deno.test("summary prints the layers of an ONNX model", async () => {
  const { code, stdout } = await run(["summary", "--weights", caffe]);
  assertEquals(code, 0);
  assertMatch(stdout, /^OnnxNetwork, input 3×224×224\n/);
  assertMatch(stdout, /\nconv2 +Conv2d +16×26×26 +1,616 +1,081,600\n/);
  assertMatch(stdout, /\nlast layer fc8: 12 → 1000 features\n$/);
});

Deno.test("--model loads the tensors of an ONNX file by name", async () => {
  const line = theError(await run(["--model", "alexnet", "--weights", exported, pictures[0]]), 1);
  assertEquals(
    line,
    `${exported}: features.0.weight is [4, 3, 11, 11], alexnet expects [64, 3, 11, 11] (and 15 more): ` +
      "not weights for alexnet; export other networks as ONNX",
  );
});

Deno.test("data outside an ONNX file is read from its folder", async () => {
  const weights = fixture("onnx/faults/cnn_external.onnx");
  const { code, stdout, stderr } = await run(["--weights", weights, "--jsonl", pictures[0]]);
  assertEquals([code, JSON.parse(stdout).predictions.length], [0, 5], stderr);
});

Deno.test("--preprocessing replaces parts of the model's preprocessing", async () => {
  const predict = async (json?: string) => {
    const args = json === undefined ? [] : ["--preprocessing", json];
    const { code, stdout, stderr } = await run([
      "--weights",
      exported,
      "--jsonl",
      ...args,
      pictures[0],
    ]);
    assertEquals(code, 0, stderr);
    return JSON.parse(stdout).predictions[0].probability;
  };
  const usual = await predict();
  assertEquals(await predict("{}"), usual);
  assertEquals(await predict('{"channels":"bgr"}') === usual, false);
  for (const json of ["", "[1]", "{", '{"channels":"cmyk"}', '{"std":[0,1,1]}', '{"crop":-1}']) {
    const result = await run(["--weights", exported, "--preprocessing", json, pictures[0]]);
    const field = /"(\w+)":/.exec(json)?.[1];
    const line = field ? `--preprocessing has an invalid ${field};` : "--preprocessing ";
    assert(theError(result, 2).startsWith(line));
  }
});
