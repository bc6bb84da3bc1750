import { FileError } from "../../../src/errors.ts";
import { assertEquals, assertRejects } from "../../assert.ts";
import { floats, open, py, readAll, stateOf, tensor, zip, type ZipItem } from "../helpers.ts";

const pickle: ZipItem = { name: "x/data.pkl", data: py.pickle(stateOf(tensor())) };
const data: ZipItem = { name: "x/data/0", data: floats(1, 2, 3, 4) };

async function assertFails(bytes: Uint8Array, reason: string): Promise<void> {
  const error = await assertRejects(() => open(bytes), FileError);
  assertEquals(error.message, `x: ${reason}`);
}

Deno.test("a zip archive is read with and without zip64, folder and comment", async () => {
  const bare = [{ ...pickle, name: "data.pkl" }, { ...data, name: "data/0" }];
  for (
    const archive of [
      zip([pickle, data]),
      zip([data, pickle]),
      zip([pickle, data], { zip64: true }),
      zip([pickle, data], { comment: "a comment" }),
      zip(bare),
    ]
  ) {
    using file = await open(archive);
    assertEquals(await readAll(file, "a"), new Float32Array([1, 2, 3, 4]));
  }
});

Deno.test("compressed and encrypted entries are refused", async () => {
  const why = "is compressed, which torch.save() never does: save it again with torch.save()";
  await assertFails(zip([{ ...pickle, lies: { method: 8 } }, data]), `its entry x/data.pkl ${why}`);
  await assertFails(zip([pickle, { ...data, lies: { method: 8 } }]), `its entry x/data/0 ${why}`);
  await assertFails(
    zip([pickle, { ...data, lies: { flags: 1 } }]),
    "its entry x/data/0 is encrypted",
  );
});

Deno.test("entries that overlap, lie outside or go by two names are refused", async () => {
  const length = zip([pickle]).length;
  await assertFails(
    zip([pickle, { ...data, lies: { header: 10 } }]),
    "its entry x/data.pkl overlaps another: damaged",
  );
  await assertFails(
    zip([pickle, { ...data, lies: { header: length + 1000 } }]),
    "its entry x/data/0 is outside of the archive: damaged",
  );
  for (const zip64 of [false, true]) {
    await assertFails(
      zip([pickle, { ...data, lies: { size: 1000 } }], { zip64 }),
      "its entry x/data/0 is outside of the archive: damaged",
    );
  }
  await assertFails(
    zip([pickle, { ...data, lies: { localName: "x/data/1" } }]),
    "its entry x/data/0 is called x/data/1 in its own header: damaged",
  );
  await assertFails(zip([pickle, data, data]), "has two entries called x/data/0: damaged");
});

Deno.test("a zip archive of something else is refused", async () => {
  const other = "is a zip archive, but not one that torch.save() wrote";
  await assertFails(zip([{ name: "word/document.xml", data: "<w/>" }]), other);
  await assertFails(zip([pickle, { ...pickle, name: "y/data.pkl" }]), other);
  await assertFails(zip([]), other);
});

Deno.test("an archive without its end is refused", async () => {
  const archive = zip([pickle, data]);
  await assertFails(
    archive.subarray(0, -5),
    "is a zip archive without its end: truncated or damaged",
  );
});

Deno.test("a zip64 directory that points nowhere is refused", async () => {
  const archive = zip([pickle, data], { zip64: true });
  const locator = archive.length - 22 - 20;
  const away = archive.slice();
  away.fill(0x7f, locator + 8, locator + 16);
  await assertRejects(() => open(away), FileError, "truncated or damaged");
  const wrong = archive.slice();
  wrong[locator + 8] = 0;
  await assertFails(wrong, "has a damaged zip64 directory");
});
