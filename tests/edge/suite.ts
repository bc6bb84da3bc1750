/** Tests of the example handler that every edge runtime must pass. */

import { assert, assertEquals, assertMatch } from "../assert.ts";
import { hugePng } from "../image/fixtures.ts";
import type { Server } from "../../bench/lib/server.ts";

const photo = (name: string) => Deno.readFile(new URL(`../${name}`, import.meta.url));
export const [coffee, chelsea, webp] = await Promise.all(
  ["photos/coffee.jpg", "photos/chelsea.png", "fixtures/image/images/lossy.webp"].map(photo),
);
/** What the bundled network takes the photos for. */
const guesses = { coffee: "espresso", chelsea: "golden retriever" };
export const jpegType = { "content-type": "image/jpeg" };

/**
 * Sends all kinds of requests, valid and invalid.
 *
 * @param maxBytes The handler's limit for a request body.
 */
export async function testHandler(
  t: Deno.TestContext,
  server: Server,
  maxBytes = 4 * 2 ** 20,
): Promise<void> {
  const post = (body: BodyInit, headers: HeadersInit = jpegType, path = "/") =>
    server.fetch(path, { method: "POST", body, headers });
  const labelOf = async (response: Response) => {
    assertEquals(response.status, 200);
    return (await response.json()).predictions[0].label;
  };

  await t.step("classifies a JPEG", async () => {
    const response = await post(coffee);
    assertEquals(response.status, 200);
    assertMatch(response.headers.get("content-type")!, /^application\/json/);
    const { model, width, height, predictions } = await response.json();
    assertEquals([model, width, height, predictions.length], ["resnet-tiny", 600, 400, 5]);
    const [{ label, wnid, probability }] = predictions;
    assertEquals([label, wnid, probability > 0.9], [guesses.coffee, "n07920052", true]);
  });

  await t.step("classifies a PNG in a form, and returns fewer classes", async () => {
    const body = new FormData();
    body.append("photo", new Blob([chelsea]), "chelsea.png");
    const response = await post(body, {}, "/?top=2");
    const { predictions } = await response.json();
    assertEquals([predictions.length, predictions[0].label], [2, guesses.chelsea]);
  });

  await t.step("classifies a WebP", async () => {
    assertEquals((await post(webp, { "content-type": "image/webp" })).status, 200);
  });

  await t.step("classifies concurrent photos, some of them damaged", async () => {
    const bodies = Array.from(
      { length: 6 },
      (_, i) => [coffee, chelsea, coffee.slice(0, 9000)][i % 3],
    );
    for (let i = 0; i < bodies.length; i += 3) {
      const responses = await Promise.all(bodies.slice(i, i + 3).map((body) => post(body)));
      for (const [k, response] of responses.entries()) {
        const expected = [guesses.coffee, guesses.chelsea, "photo: the JPEG"][k];
        const { predictions, error } = await response.json();
        assert((error ?? predictions[0].label).startsWith(expected));
      }
    }
  });

  await t.step("explains what is wrong with a bad request", async () => {
    const requests: [Promise<Response>, number, RegExp][] = [
      [server.fetch("/"), 405, /POST/],
      [server.fetch("/", { method: "DELETE" }), 405, /POST/],
      [post("hello", { "content-type": "text/plain" }), 415, /text\/plain/],
      [post("hello"), 422, /^photo: /],
      [post(coffee.slice(0, 9000)), 422, /^photo: the JPEG/],
      [post(hugePng()), 413, /^photo: is 30000×30000 pixels/],
      [post(coffee, jpegType, "/?top=x"), 400, /^top is "x", must be/],
    ];
    for (const [request, status, message] of requests) {
      const response = await request;
      const { error } = await response.json();
      assertMatch(error, message);
      assertEquals(response.status, status);
      if (status === 405) assertEquals(response.headers.get("allow"), "POST");
    }
  });

  await t.step("stops reading a body that is too large", async () => {
    const type = "Content-Type: image/jpeg";
    const zeros = new Uint8Array(2 ** 16);
    // If the length is in the header, the handler responds before any of the body is sent.
    const withLength = await server.flood([type, "Content-Length: 1000000000"]);
    assertMatch(withLength.line, /^HTTP\/1\.1 413 /);

    const chunk = new Uint8Array([...new TextEncoder().encode("10000\r\n"), ...zeros, 13, 10]);
    const chunked = await server.flood([type, "Transfer-Encoding: chunked"], chunk);
    assertMatch(chunked.line, /^HTTP\/1\.1 413 /);
    // The operating system buffers some megabytes in addition.
    assert(chunked.sent < maxBytes + 12 * 2 ** 20, `sent ${chunked.sent}`);
  });

  await t.step("still classifies a JPEG after that", async () => {
    assertEquals(await labelOf(await post(coffee)), "espresso");
  });
}
