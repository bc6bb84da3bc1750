/** `--classes`: other names for a model's classes. */

import { assertEquals, assertMatch } from "../assert.ts";
import { fixture, run, TempFolder, theError, utf16 } from "./run.ts";

const photo = fixture("models/waves.png");
const names = Array.from({ length: 200 }, (_, i) => `class ${i}`);

Deno.test("--classes names the classes", async () => {
  await using folder = await TempFolder.make();
  const contents = [
    names.join("\n"),
    `\ufeff${names.join("\r\n")}\r\n\n`,
    names.map((name) => `  ${name}\t`).join("\n"),
    utf16(names.join("\r\n")),
  ];
  for (const content of contents) {
    const file = await folder.write("labels.txt", content);
    const { code, stdout } = await run(["-q", "--json", "-k", "1", "--classes", file, photo]);
    const [{ predictions: [{ index, label, wnid }] }] = JSON.parse(stdout).results;
    assertEquals([code, label, wnid], [0, `class ${index}`, ""]);
  }
  const random = ["-q", "--random", "-m", "alexnet-tiny", "--classes", `${folder.path}/labels.txt`];
  assertMatch((await run([...random, photo])).stdout, /class \d+\n/);
});

Deno.test("--classes names both classes of a network with one score", async () => {
  await using folder = await TempFolder.make();
  const weights = fixture("onnx/binary/logit.onnx");
  const file = await folder.write("labels.txt", "cat\ndog\n");
  const args = ["-q", "--json", "--weights", weights, "--classes", file, photo];
  const [{ predictions }] = JSON.parse((await run(args)).stdout).results;
  const labels = predictions.map(({ label }: { readonly label: string }) => label);
  assertEquals(labels.sort(), ["cat", "dog"]);
  for (const [count, names] of [[1, "1 name"], [3, "3 names"]] as const) {
    const other = await folder.write(
      "others.txt",
      ["cat", "dog", "bird"].slice(0, count).join("\n"),
    );
    const line = theError(await run(["--weights", weights, "--classes", other, photo]), 1);
    assertEquals(line, `${other}: has ${names}, but the model has 2 classes`);
  }
  const { code, stderr } = await run(["-q", "--weights", weights, photo]);
  const reason = "its output has one score for an image; pass --classes FILE with the names of two";
  assertEquals([code, stderr], [1, `error: ${photo}: OnnxNetwork: ${reason} classes\n`]);
});

Deno.test("--classes rejects a file that does not fit the model", async () => {
  await using folder = await TempFolder.make();
  const cases: [string | Uint8Array, string][] = [
    [names.slice(1).join("\n"), "has 199 names, but the model has 200 classes"],
    ["one", "has 1 name, but the model has 200 classes"],
    ["", "has no class names"],
    ["a\n\nb", "line 2 is empty, must be a class name"],
    [Uint8Array.of(0xff, 0xfe, 0x00), "is not UTF-8 or UTF-16 text"],
  ];
  for (const [content, reason] of cases) {
    const file = await folder.write("labels.txt", content);
    assertEquals(theError(await run(["--classes", file, photo]), 1), `${file}: ${reason}`);
  }
  if (Deno.build.os === "linux") {
    const line = theError(await run(["--classes", "/dev/zero", photo]), 1);
    assertEquals(line, "/dev/zero: larger than 16 MiB");
  }
  const missing = `${folder.path}/none.txt`;
  assertEquals(theError(await run(["--classes", missing, photo]), 1), `${missing}: no such file`);
  assertEquals(
    theError(await run(["--classes=", photo]), 2),
    "--classes is empty, must be a file",
  );
});
