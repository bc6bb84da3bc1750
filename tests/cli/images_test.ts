import { assert, assertEquals } from "../assert.ts";
import { hugePng } from "../image/fixtures.ts";
import { fixture, run, TempFolder, theError } from "./run.ts";

const half = (bytes: Uint8Array) => bytes.subarray(0, bytes.length >> 1);

Deno.test("each bad image gets one error line, and the others are classified", async () => {
  await using folder = await TempFolder.make();
  const png = await Deno.readFile(fixture("models/waves.png"));
  const jpeg = await Deno.readFile(fixture("image/images/progressive.jpg"));
  await folder.write("album/00 good.png", png);
  await folder.write("album/01 text.jpg", "Dear diary");
  await folder.write("album/02 half.jpg", half(jpeg));
  await folder.write("album/03 half.png", half(png));
  await folder.write("album/04 huge.png", hugePng());
  await folder.write("album/05 empty.png", "");
  await folder.write("album/06 folder.jpg/notes.txt", "");
  await folder.write("album/07 good.jpg", jpeg);
  const locked = await folder.write("album/09 locked.png", png);
  const windows = Deno.build.os === "windows", root = Deno.uid() === 0;
  if (!windows) {
    await folder.write("album/08 two\nlines.png", "");
    await Deno.chmod(locked, 0);
  }

  const args = ["-q", "-m", "alexnet-tiny", "-k", "1", "album", "album/06 folder.jpg", "gone.png"];
  const { code, stdout, stderr } = await run(args, { cwd: folder.path });
  assertEquals(code, 1);
  const inputs = stdout.split("\n").filter((line) => /^\S/.test(line));
  const good = ["album/00 good.png", "album/07 good.jpg"];
  // root can read everything
  assertEquals(inputs, windows || root ? [...good, "album/09 locked.png"] : good);
  const expected = [
    "album/01 text.jpg: is not a supported image",
    "album/02 half.jpg: the JPEG",
    "album/03 half.png: the PNG",
    "album/04 huge.png: is 30000×30000 pixels (900 megapixels), larger than the limit of 64 megapixels",
    "album/05 empty.png: is empty",
    ...(windows ? [] : ["album/08 two\\x0alines.png: is empty"]),
    ...(windows || root ? [] : ["album/09 locked.png: not readable (file permissions)"]),
    "album/06 folder.jpg: no images in this folder",
    "gone.png: no such file",
  ];
  const errors = stderr.trimEnd().split("\n");
  assertEquals(errors.length, expected.length, stderr);
  errors.forEach((line, i) => assert(line.startsWith(`error: ${expected[i]}`), line));
});

Deno.test("if every input fails, text output is empty and the JSON document is complete", async () => {
  await using folder = await TempFolder.make();
  const path = await folder.write("empty.png", "");
  assertEquals(theError(await run(["-q", "-m", "alexnet-tiny", path]), 1), `${path}: is empty`);
  const { code, stdout, stderr } = await run([
    "-q",
    "-m",
    "alexnet-tiny",
    "--random",
    "--seed=1",
    "--json",
    path,
    "*.no",
  ]);
  assertEquals(code, 1);
  const { results, threads: _, backend: __, ...rest } = JSON.parse(stdout);
  assertEquals(rest, { model: "alexnet-tiny", weights: "random (seed 1)", precision: "f32" });
  const errors = [`${path}: is empty`, "*.no: no file matches"];
  assertEquals(results, [{ input: path, error: errors[0] }, { input: "*.no", error: errors[1] }]);
  assertEquals(stderr, errors.map((error) => `error: ${error}\n`).join(""));
});
