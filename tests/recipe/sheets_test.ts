import { fileURLToPath } from "node:url";
import { FileError } from "../../src/errors.ts";
import { copyTile, readClasses, readSheets } from "../../weights/recipe/sheets.ts";
import { assert, assertEquals, assertRejects } from "../assert.ts";

/** Two classes. A training sheet has two rows of three tiles of uniform grey, which JPEG keeps. */
const folder = fileURLToPath(new URL("../fixtures/recipe", import.meta.url));
const train = `${folder}/train`;

Deno.test("copyTile() counts tiles row by row", () => {
  // Three tiles across and two down, 2×2 pixels each. Every byte is the index of its tile.
  const data = new Uint8Array(6 * 4 * 3).map((_, i) => {
    const x = Math.floor(i / 3) % 6, y = Math.floor(i / 18);
    return Math.floor(y / 2) * 3 + Math.floor(x / 2);
  });
  for (let tile = 0; tile < 6; tile++) {
    const into = new Uint8Array(14).fill(99);
    copyTile({ width: 6, height: 4, data }, tile, 2, into);
    assertEquals([...into], [...new Array(12).fill(tile), 99, 99]);
  }
  const gradient = Uint8Array.from({ length: 72 }, (_, i) => i);
  const into = new Uint8Array(12);
  copyTile({ width: 6, height: 4, data: gradient }, 4, 2, into); // rows 2 and 3, columns 2 and 3
  assertEquals([...into], [42, 43, 44, 45, 46, 47, 60, 61, 62, 63, 64, 65]);
});

Deno.test("readSheets() reads every tile of every class, with its label", async () => {
  const classes = await readClasses(folder);
  assertEquals(classes, [
    { wnid: "n00000001", label: "dark" },
    { wnid: "n00000002", label: "light, bright" },
  ]);
  const done: number[] = [];
  const images = await readSheets(train, classes, { size: 64, onSheet: (n) => void done.push(n) });
  assertEquals([images.length, images.size, done], [12, 64, [1, 2]]);
  assertEquals([...images.labels], [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
  for (let i = 0; i < 12; i++) {
    const tile = images.pixels.subarray(i * 12288, (i + 1) * 12288);
    const grey = Math.floor(i / 6) * 120 + 20 * (i % 6); // see make_recipe_fixtures.py
    assert(tile.every((byte) => Math.abs(byte - grey) <= 1), `image ${i}: ${tile[0]}, not ${grey}`);
  }
  const few = await readSheets(train, classes, { size: 64, perClass: 2 });
  assertEquals([...few.labels], [0, 0, 1, 1]);
  assertEquals(few.pixels.subarray(2 * 12288), images.pixels.subarray(6 * 12288, 8 * 12288));

  const holdOut = 2, rest = await readSheets(train, classes, { size: 64, holdOut });
  const heldOut = await readSheets(train, classes, { size: 64, holdOut, heldOut: true });
  assertEquals([rest.length, heldOut.length], [8, 4]);
  assertEquals([...heldOut.labels], [0, 0, 1, 1]);
  assertEquals(rest.pixels.subarray(4 * 12288), images.pixels.subarray(6 * 12288, 10 * 12288));
  assertEquals(heldOut.pixels.subarray(2 * 12288), images.pixels.subarray(10 * 12288));
  await assertRejects(
    () => readSheets(train, classes, { size: 64, holdOut: 6 }),
    FileError,
    "n00000001.jpg: has 6 images, must be more than the 6 held out",
  );
});

Deno.test("readClasses() reads the lines of Windows", async () => {
  const path = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${path}/classes.tsv`, "n01\tant\r\nn02\tbee\r\n");
    const classes = [{ wnid: "n01", label: "ant" }, { wnid: "n02", label: "bee" }];
    assertEquals(await readClasses(path), classes);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("readClasses() and readSheets() name the file that is missing or invalid", async () => {
  await assertRejects(
    () => readClasses("/nowhere"),
    FileError,
    "/nowhere/classes.tsv: no such file",
  );
  const missing = [{ wnid: "n9", label: "x" }];
  await assertRejects(() => readSheets(train, missing, { size: 64 }), FileError, "n9.jpg: no such");
  const classes = await readClasses(folder);
  await assertRejects(
    () => readSheets(train, classes, { size: 48 }),
    FileError,
    "n00000001.jpg: is 192×128 pixels, must be made of 48×48 images",
  );
});
