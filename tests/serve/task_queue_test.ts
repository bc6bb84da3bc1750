import { TaskQueue } from "../../src/serve/task_queue.ts";
import { assert, assertEquals } from "../assert.ts";

const never = () => new Promise<never>(() => {});
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls a function during which no time passes for timers; returns what they would call. */
function withoutTimers(start: () => void): (() => void)[] {
  const { setTimeout } = globalThis, calls: (() => void)[] = [];
  globalThis.setTimeout = ((call: () => void) => calls.push(call)) as unknown as typeof setTimeout;
  try {
    start();
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  return calls;
}

Deno.test("TaskQueue runs no more tasks at once after a pause or a step of the clock", async () => {
  for (const step of [3_600_000, -3_600_000]) {
    const queue = new TaskQueue(2), order: number[] = [], { now } = Date;
    let skipped = 0, running = 0, most = 0;
    Date.now = () => now() + skipped;
    try {
      await Promise.all(Array.from({ length: 8 }, (_, i) =>
        queue.run(async () => {
          order.push(i);
          most = Math.max(most, ++running);
          skipped += step;
          await pause(12);
          running--;
        }, () => {})));
    } finally {
      Date.now = now;
    }
    // if two end at once, the second of those that wait may look first
    assert(order.every((i, place) => i <= place + 1), order.join());
    assertEquals([most, order.length], [2, 8]);
  }
});

Deno.test("TaskQueue passes requests and tasks that are gone", async () => {
  const queue = new TaskQueue(1, 10);
  void queue.run(never, () => {});
  withoutTimers(() => void queue.run(never, () => {}));
  assertEquals(await queue.run(() => Promise.resolve("next"), () => {}), "next");
});

Deno.test("TaskQueue lets a request that was taken for lost wait for its turn", async () => {
  const queue = new TaskQueue(1, 10), order: string[] = [];
  const end = Promise.withResolvers<void>(), begun = Promise.withResolvers<void>();
  const first = queue.run(() => pause(20), () => {});
  let late: Promise<void> | undefined;
  const task = (name: string) => () => Promise.resolve(void order.push(name));
  const [wake] = withoutTimers(() => late = queue.run(task("late"), () => {}));
  const next = queue.run(async () => {
    order.push("next");
    begun.resolve();
    await end.promise;
    order.push("end");
  }, () => {});
  const last = queue.run(task("last"), () => {});
  await Promise.all([first, begun.promise]);
  wake();
  await pause(20);
  end.resolve();
  await Promise.all([late, next, last]);
  assertEquals(order, ["next", "end", "late", "last"]);
});
