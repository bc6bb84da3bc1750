import { byHand, times, transposed } from "../../examples/by_hand.ts";
import { ArgumentError } from "../../src/errors.ts";
import { conv1dMatrix } from "../../src/ops/mod.ts";
import { assert, assertAllClose, assertEquals, assertThrows } from "../assert.ts";

Deno.test("by_hand.ts computes the same with kernels and with matrices", async () => {
  const lines: string[] = [];
  const r = await byHand((line) => lines.push(line));
  assertEquals([...r.y], times(r.W, r.x));
  assertEquals([...r.dx], times(transposed(r.W), r.dy));
  assertEquals([...r.dw], r.dwByHand);
  assertAllClose(r.updated, r.w.map((v, k) => v - 0.1 * r.dwByHand[k]), { abs: 1e-6 });
  assertEquals([...r.maxima], times(r.R, r.x));
  assertEquals([...r.dxPool], times(transposed(r.R), r.dp));
  assertEquals([...r.weightSums], [2, 3, 3, 3, 2]);
  assertEquals([...r.weightSumsUnpadded], [1, 2, 3, 2, 1]);
  assert(lines.length > 30);
});

Deno.test("by_hand.ts runs as a script, without any permission", async () => {
  const script = new URL("../../examples/by_hand.ts", import.meta.url).href;
  const command = new Deno.Command(Deno.execPath(), { args: ["run", script] });
  const { code, stdout } = await command.output();
  const lines: string[] = [];
  await byHand((line) => lines.push(line));
  assertEquals(new TextDecoder().decode(stdout), `${lines.join("\n")}\n`);
  assertEquals(code, 0);
});

Deno.test("conv1dMatrix() returns a band matrix whose first row starts with the middle weight", () => {
  assertEquals(conv1dMatrix([1, 2, 3], 4), [
    [2, 3, 0, 0],
    [1, 2, 3, 0],
    [0, 1, 2, 3],
    [0, 0, 1, 2],
  ]);
  assertEquals(conv1dMatrix([7], 2), [[7, 0], [0, 7]]);
  assertEquals(conv1dMatrix([1, 2, 3, 4, 5], 2), [[3, 4], [2, 3]]);
  assertThrows(() => conv1dMatrix([1, 2], 3), ArgumentError, "odd");
  assertThrows(() => conv1dMatrix([1], 0), ArgumentError, "n is 0");
});
