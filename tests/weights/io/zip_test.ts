import { FileError } from "../../../src/errors.ts";
import { assertEquals, assertRejects } from "../../assert.ts";
import {
  assertCannotOpen,
  floats,
  open,
  py,
  readAll,
  stateOf,
  tensor,
  zip,
  type ZipItem,
} from "../helpers.ts";

const pickle: ZipItem = { name: "x/data.pkl", data: py.pickle(stateOf(tensor())) };
const data: ZipItem = { name: "x/data/0", data: floats(1, 2, 3, 4) };

Deno.test("openWeights() reads zip archives with and without zip64, folder and comment", async () => {
  const withoutFolder = [{ ...pickle, name: "data.pkl" }, { ...data, name: "data/0" }];
  for (
    const archive of [
      zip([pickle, data]),
      zip([data, pickle]),
      zip([pickle, data], { zip64: true }),
      zip([pickle, data], { comment: "a comment" }),
      zip(withoutFolder),
    ]
  ) {
    using file = await open(archive);
    assertEquals(await readAll(file, "a"), new Float32Array([1, 2, 3, 4]));
  }
});

Deno.test("openWeights() rejects compressed and encrypted zip entries", async () => {
  const reason = "is compressed, which torch.save() never does: save it again with torch.save()";
  await assertCannotOpen(
    zip([{ ...pickle, overrides: { method: 8 } }, data]),
    `its entry x/data.pkl ${reason}`,
  );
  await assertCannotOpen(
    zip([pickle, { ...data, overrides: { method: 8 } }]),
    `its entry x/data/0 ${reason}`,
  );
  await assertCannotOpen(
    zip([pickle, { ...data, overrides: { flags: 1 } }]),
    "its entry x/data/0 is encrypted",
  );
});

Deno.test("openWeights() rejects zip entries that overlap, are outside the archive or have two names", async () => {
  const length = zip([pickle]).length;
  await assertCannotOpen(
    zip([pickle, { ...data, overrides: { header: 10 } }]),
    "its entry x/data.pkl overlaps another: damaged",
  );
  await assertCannotOpen(
    zip([pickle, { ...data, overrides: { header: length + 1000 } }]),
    "its entry x/data/0 is outside the archive: damaged",
  );
  for (const zip64 of [false, true]) {
    await assertCannotOpen(
      zip([pickle, { ...data, overrides: { size: 1000 } }], { zip64 }),
      "its entry x/data/0 is outside the archive: damaged",
    );
  }
  await assertCannotOpen(
    zip([pickle, { ...data, overrides: { localName: "x/data/1" } }]),
    "its entry x/data/0 is named x/data/1 in its own header: damaged",
  );
  await assertCannotOpen(zip([pickle, data, data]), "has two entries named x/data/0: damaged");
});

Deno.test("openWeights() rejects a zip archive that torch.save() did not write", async () => {
  const other = "is a zip archive, but torch.save() did not write it";
  await assertCannotOpen(zip([{ name: "word/document.xml", data: "<w/>" }]), other);
  await assertCannotOpen(zip([pickle, { ...pickle, name: "y/data.pkl" }]), other);
  await assertCannotOpen(zip([]), other);
});

Deno.test("openWeights() rejects a zip archive without an end record", async () => {
  const archive = zip([pickle, data]);
  await assertCannotOpen(
    archive.subarray(0, -5),
    "is a zip archive without an end record: truncated or damaged",
  );
});

Deno.test("openWeights() rejects a zip64 directory at a wrong offset", async () => {
  const archive = zip([pickle, data], { zip64: true });
  const locator = archive.length - 22 - 20;
  const outside = archive.slice();
  outside.fill(0x7f, locator + 8, locator + 16);
  await assertRejects(() => open(outside), FileError, "truncated or damaged");
  const wrong = archive.slice();
  wrong[locator + 8] = 0;
  await assertCannotOpen(wrong, "has a damaged zip64 directory");
});
