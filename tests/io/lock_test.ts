import { Lock } from "../../src/io/lock.ts";
import { assertEquals } from "../assert.ts";

const turn = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("Lock is one's until it is given back, and its file goes with it", async () => {
  const folder = await Deno.makeTempDir(), path = `${folder}/a.lock`;
  try {
    await Deno.writeTextFile(path, "left by one that was killed");
    for (let i = 0; i < 2; i++) {
      using lock = await Lock.tryAcquire(path);
      assertEquals([lock === undefined, await Lock.tryAcquire(path)], [false, undefined]);
    }
    assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
    using _ = await Lock.tryAcquire(path);
    await Deno.remove(path); // somebody tidies up
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Lock lets no two in while its file is deleted and made again", async () => {
  const folder = await Deno.makeTempDir(), path = `${folder}/a.lock`;
  let inside = 0, most = 0, times = 0;
  const competitor = async () => {
    while (times < 300) {
      using lock = await Lock.tryAcquire(path);
      if (!lock) continue;
      times++;
      most = Math.max(most, ++inside);
      await turn(times % 3);
      inside--;
    }
  };
  try {
    await Promise.all(Array.from({ length: 8 }, competitor));
    assertEquals(most, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
