/** Faults at every point of a request. */

import { photoHandler } from "../../src/serve/mod.ts";
import { assert, assertEquals } from "../assert.ts";
import { forEveryFault, withFault } from "./inject.ts";

const photo = await Deno.readFile(new URL("../photos/coffee.jpg", import.meta.url));

/** A body in chunks of 8 kB, whose n-th read fails. */
function failing(n: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  let reads = 0;
  return new ReadableStream({
    pull(controller) {
      if (reads === n) return controller.error(new TypeError("connection reset"));
      const chunk = photo.slice(8192 * reads, 8192 * ++reads);
      if (chunk.length > 0) controller.enqueue(chunk);
      else controller.close();
    },
  });
}

const post = (body: BodyInit) =>
  new Request("http://x.test/", {
    method: "POST",
    body,
    headers: { "content-type": "image/jpeg" },
  });

function handlerOf() {
  const errors: unknown[] = [];
  const handler = photoHandler({
    maxRequests: 1,
    onError: (error) => errors.push(error),
    load: () => ({ type: "Fake", classify: () => Promise.resolve([]) }),
  });
  return { handler, errors };
}

Deno.test("photoHandler() answers when the n-th read of a body fails, and the next request", async () => {
  const { handler, errors } = handlerOf();
  const reads = Math.ceil(photo.length / 8192);
  for (let n = 0; n <= reads + 1; n++) {
    const { status } = await handler(post(failing(n)));
    assertEquals(status, n <= reads ? 400 : 200, `read ${n}`);
    assertEquals((await handler(post(photo))).status, 200);
  }
  assertEquals(errors, []);
});

Deno.test("photoHandler() answers when the n-th stream read fails, and the next request", async () => {
  const { handler } = handlerOf();
  const tested = await forEveryFault(async (n) => {
    let status = 0;
    const result = await withFault("network", n, async () => {
      status = (await handler(post(failing(Infinity)))).status;
    });
    assertEquals(result.error, undefined);
    assert([200, 400].includes(status), `${status}`);
    assertEquals((await handler(post(photo))).status, 200);
    return result;
  });
  assert(tested > 5);
});

for (const step of ["load", "decode", "classify"] as const) {
  Deno.test(`photoHandler() answers 500 when the n-th ${step} fails, and continues`, async () => {
    for (let n = 0; n < 3; n++) {
      let calls = 0;
      const fail = (name: string) => {
        if (name === step && calls++ === n) throw new Error("a secret");
      };
      const handler = photoHandler({
        maxRequests: 1,
        onError: () => {},
        load: () => {
          fail("load");
          return {
            type: "Fake",
            classify: () => {
              fail("classify");
              return Promise.resolve([]);
            },
          };
        },
        decode: () => {
          fail("decode");
          const input = new Float32Array(1);
          return Promise.resolve({ width: 1, height: 1, input, warnings: [] });
        },
      });
      const statuses: number[] = [];
      for (let i = 0; i < 4; i++) statuses.push((await handler(post(photo))).status);
      const expected = step === "load" && n > 0
        ? [200, 200, 200, 200]
        : [0, 1, 2, 3].map((i) => i === n ? 500 : 200);
      assertEquals(statuses, expected);
    }
  });
}
