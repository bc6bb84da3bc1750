import { assert, assertEquals } from "../assert.ts";
import { Machine } from "../../bench/machine/machine.ts";

Deno.test("Machine measures with each number of threads", async () => {
  using machine = await Machine.start([1, 2]);
  for (const what of ["arithmetic", "streaming"] as const) {
    const [one, two] = machine.gauges(what);
    assertEquals([one.threads, two.threads], [1, 2]);
    assertEquals(two.amount, 2 * one.amount);
    for (const gauge of [one, two]) assert(await gauge.run() > 0, what);
  }
});
