import { Lock } from "../../src/io/lock.ts";
import { assertEquals } from "../assert.ts";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("Lock has one holder at a time, and deletes its file when released", async () => {
  const folder = await Deno.makeTempDir(), path = `${folder}/a.lock`;
  try {
    await Deno.writeTextFile(path, "left behind by a killed process");
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
