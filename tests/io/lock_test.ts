import { FileError } from "../../src/errors.ts";
import { Lock, lockPathOf } from "../../src/io/lock.ts";
import { assertEquals, assertRejects } from "../assert.ts";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("Lock has one holder at a time, and deletes its file when released", async () => {
  const folder = await Deno.makeTempDir(), path = `${folder}/a.lock`;
  try {
    await Deno.writeTextFile(path, ""); // left behind by a killed process
    for (let i = 0; i < 2; i++) {
      using lock = await Lock.tryAcquire(path);
      assertEquals([lock === undefined, await Lock.tryAcquire(path)], [false, undefined]);
    }
    assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
    using _ = await Lock.tryAcquire(path);
    await Deno.remove(path); // someone cleans up
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Lock never has two holders while its file is deleted and recreated", async () => {
  const folder = await Deno.makeTempDir(), path = `${folder}/a.lock`;
  let holders = 0, maxHolders = 0, times = 0;
  const competitor = async () => {
    while (times < 300) {
      using lock = await Lock.tryAcquire(path);
      if (!lock) continue;
      times++;
      maxHolders = Math.max(maxHolders, ++holders);
      await sleep(times % 3);
      holders--;
    }
  };
  try {
    await Promise.all(Array.from({ length: 8 }, competitor));
    assertEquals(maxHolders, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Lock never changes or deletes a file that is not a lock file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const content of ["{}", "lock", "# lock file of pembroke, safe to delete\nand more"]) {
      const path = `${folder}/deno.lock`;
      await Deno.writeTextFile(path, content);
      await assertRejects(() => Lock.tryAcquire(path), FileError, "is not a lock file");
      assertEquals(await Deno.readTextFile(path), content);
    }
    await Deno.mkdir(`${folder}/folder`);
    await assertRejects(() => Lock.tryAcquire(`${folder}/folder`), FileError);
    if (Deno.build.os === "windows") return;
    for (const target of ["deno.lock", "missing"]) {
      await Deno.symlink(target, `${folder}/${target}.link`);
      await assertRejects(() => Lock.tryAcquire(`${folder}/${target}.link`), FileError);
    }
    await assertRejects(() => Deno.lstat(`${folder}/missing`), Deno.errors.NotFound);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Lock keeps a lock file that somebody changed meanwhile", async () => {
  const folder = await Deno.makeTempDir(), path = `${folder}/a`;
  try {
    {
      using _ = await Lock.tryAcquire(path);
      await Deno.writeTextFile(path, "somebody's notes");
    }
    assertEquals(await Deno.readTextFile(path), "somebody's notes");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Lock keeps a lock file whose number the system does not give", async () => {
  const folder = await Deno.makeTempDir(),
    path = `${folder}/a`,
    { statSync } = Deno.FsFile.prototype;
  Deno.FsFile.prototype.statSync = function () {
    return { ...statSync.call(this), ino: 2 ** 60 };
  };
  try {
    {
      await Deno.writeTextFile(path, "");
      const { lstatSync } = Deno;
      Deno.lstatSync = (file) => ({ ...lstatSync(file), ino: 2 ** 60 });
      try {
        using lock = await Lock.tryAcquire(path);
        assertEquals(lock === undefined, false);
      } finally {
        Deno.lstatSync = lstatSync;
      }
    }
    await Deno.lstat(path);
  } finally {
    Deno.FsFile.prototype.statSync = statSync;
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("lockPathOf() is a hidden file in the same folder", () => {
  assertEquals(lockPathOf("/a/out.jsonl"), "/a/.out.jsonl.pembroke-lock");
  assertEquals(lockPathOf("deno"), ".deno.pembroke-lock");
  assertEquals(lockPathOf("C:\\a\\deno"), "C:\\a\\.deno.pembroke-lock");
});
