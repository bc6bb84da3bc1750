import { RandomGenerator } from "../src/random.ts";
import { assertEquals } from "./assert.ts";

Deno.test("RandomGenerator draws the same numbers as torch.rand after torch.manual_seed", () => {
  const values = new Float32Array(3);
  new RandomGenerator(0).uniform(values, 0, 1);
  assertEquals([...values], [0.49625658988952637, 0.7682217955589294, 0.08847743272781372]);
});

Deno.test("RandomGenerator equals torch.Tensor.uniform_ bit for bit over a million numbers", async () => {
  // torch.manual_seed(7); torch.empty(1000003).uniform_(-0.1234567, 0.1234567)
  const values = new Float32Array(1000003);
  const generator = new RandomGenerator(7);
  generator.uniform(values.subarray(0, 1234), -0.1234567, 0.1234567); // in two parts
  generator.uniform(values.subarray(1234), -0.1234567, 0.1234567);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", values));
  assertEquals(
    Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    "639cdd16575b4a89f0c99da7946de72e5f0e04327ccd3742c810373fae46c4a9",
  );
});
