import { Slots } from "../../src/serve/slots.ts";
import { assertEquals } from "../assert.ts";

Deno.test("Slots frees those that are not renewed, and no others", () => {
  const slots = new Slots(2), { now } = Date;
  let skipped = 0;
  Date.now = () => now() + skipped;
  try {
    const waiting = slots.take(), gone = slots.take();
    assertEquals(slots.full, true);
    skipped += 100_000;
    waiting.renew();
    skipped += 100_000;
    assertEquals(slots.full, false);
    slots.take();
    assertEquals(slots.full, true);
    skipped += 3_600_000; // a pause: another request comes before the one that waits can renew
    assertEquals(slots.full, false);
    slots.take();
    assertEquals(slots.full, false);
    waiting.renew();
    assertEquals(slots.full, true);
    gone[Symbol.dispose]();
    waiting[Symbol.dispose]();
    assertEquals(slots.full, false);
  } finally {
    Date.now = now;
  }
});
