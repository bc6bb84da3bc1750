import { RequestError } from "../../src/serve/request_error.ts";
import { Uploads } from "../../src/serve/uploads.ts";
import { assert, assertEquals, assertRejects } from "../assert.ts";

const limits = {
  maxBytes: 2 ** 20,
  maxMs: 60_000,
  maxUploads: 1000,
  minBytesPerSecond: 1,
  rateMs: 60_000,
};

/**
 * A request with a byte stream that sends 5000 bytes and then waits.
 *
 * @param reads Is given the memory of the chunk at each read.
 * @param end Ends the stream.
 */
function stalled(reads: number[], end: Promise<void>): Request {
  let left = 5000;
  const body = new ReadableStream({
    type: "bytes",
    async pull(controller) {
      const request = controller.byobRequest!, { byteLength } = request.view!;
      reads.push(byteLength);
      const sent = Math.min(left, byteLength);
      left -= sent;
      if (sent === 0) {
        await end;
        controller.close();
      }
      request.respond(sent);
    },
  });
  return { headers: new Headers(), body } as Request;
}

Deno.test("Uploads counts the memory of the next chunk, which is no more than what arrived", async () => {
  const uploads = new Uploads("test", { ...limits, maxUploadBytes: 2 ** 27 });
  const end = Promise.withResolvers<void>();
  const reads = Array.from({ length: 8 }, () => [] as number[]);
  const all = reads.map((sizes) => uploads.read(stalled(sizes, end.promise)));
  while (reads.some(({ length }) => length < 3)) await new Promise((go) => setTimeout(go, 1));
  assertEquals(reads, Array(8).fill([4096, 8192, 8192]));
  assertEquals(uploads.bytes, 8 * (8192 + 8192));
  end.resolve();
  const arrived = await Promise.all(all);
  assertEquals([uploads.bytes, arrived[0].bytes.length], [8 * 5000, 5000]);
  for (const upload of arrived) upload.release();
  assertEquals(uploads.bytes, 0);
});

Deno.test("Uploads reads no chunk that there is no memory for", async () => {
  const maxUploadBytes = 2 ** 15, uploads = new Uploads("test", { ...limits, maxUploadBytes });
  const end = Promise.withResolvers<void>();
  const reads = Array.from({ length: 20 }, () => [] as number[]);
  const all = reads.map(async (sizes) =>
    (await uploads.read(stalled(sizes, end.promise))).release()
  );
  await new Promise((go) => setTimeout(go, 20));
  // only the first may take more, so that the others do not wait forever
  assert(uploads.bytes <= maxUploadBytes + 8192 + 8192, `${uploads.bytes}`);
  assert(reads.filter(({ length }) => length > 0).length <= 8);
  end.resolve();
  await Promise.all(all);
  assertEquals(uploads.bytes, 0);
});

Deno.test("Uploads does not free the chunks of a stream, which others may use", async () => {
  const uploads = new Uploads("test", { ...limits, maxUploadBytes: 2 ** 27 });
  const chunk = Uint8Array.of(1, 2, 3);
  const body = new ReadableStream({
    start(controller) {
      for (let i = 0; i < 2; i++) controller.enqueue(chunk);
      controller.close();
    },
  });
  const { bytes } = await uploads.read({ headers: new Headers(), body } as Request);
  assertEquals([bytes, chunk], [Uint8Array.of(1, 2, 3, 1, 2, 3), Uint8Array.of(1, 2, 3)]);
});

Deno.test("Uploads says why it stopped, also where reads reject when they are cancelled", async () => {
  const uploads = new Uploads("test", { ...limits, maxUploadBytes: 2 ** 27, maxMs: 5 });
  const { promise, reject } = Promise.withResolvers<never>();
  const cancel = () => Promise.resolve(reject(new TypeError("cancelled"))); // as workerd does
  const body = { getReader: () => ({ read: () => promise, cancel }) };
  const request = { headers: new Headers(), body } as unknown as Request;
  const error = await assertRejects(() => uploads.read(request), RequestError, "timed out");
  assertEquals([(error as RequestError).status, uploads.bytes], [408, 0]);
});
