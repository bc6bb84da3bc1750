/** What every edge runtime must do with the example's handler. */

import { assert, assertEquals, assertMatch } from "../assert.ts";
import { hugePng } from "../image/fixtures.ts";
import type { Server } from "../../bench/lib/server.ts";

const photo = (name: string) => Deno.readFile(new URL(`../${name}`, import.meta.url));
export const [coffee, chelsea, webp] = await Promise.all(
  ["photos/coffee.jpg", "photos/chelsea.png", "fixtures/image/images/lossy.webp"].map(photo),
);
export const jpegType = { "content-type": "image/jpeg" };

/**
 * Sends everything that may come.
 *
 * @param maxBytes Of a body, as the example says.
 */
export async function suite(
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

  await t.step("a JPEG", async () => {
    const response = await post(coffee);
    assertEquals(response.status, 200);
    assertMatch(response.headers.get("content-type")!, /^application\/json/);
    const { model, width, height, predictions } = await response.json();
    assertEquals([model, width, height, predictions.length], ["AlexNetTiny", 600, 400, 5]);
    const [{ label, wnid, probability }] = predictions;
    assertEquals([label, wnid, probability > 0.9], ["espresso", "n07920052", true]);
  });

  await t.step("a PNG in a form, and fewer classes", async () => {
    const body = new FormData();
    body.append("photo", new Blob([chelsea]), "chelsea.png");
    const response = await post(body, {}, "/?top=2");
    const { predictions } = await response.json();
    assertEquals([predictions.length, predictions[0].label], [2, "tabby, tabby cat"]);
  });

  await t.step("a WebP", async () => {
    assertEquals((await post(webp, { "content-type": "image/webp" })).status, 200);
  });

  await t.step("photos at once, and none spoils another", async () => {
    const bodies = Array.from(
      { length: 12 },
      (_, i) => [coffee, chelsea, coffee.slice(0, 9000)][i % 3],
    );
    for (let i = 0; i < bodies.length; i += 3) {
      const answers = await Promise.all(bodies.slice(i, i + 3).map((body) => post(body)));
      for (const [k, answer] of answers.entries()) {
        const label = [/espresso/, /tabby/, /^photo: the JPEG/][k];
        const { predictions, error } = await answer.json();
        assertMatch(error ?? predictions[0].label, label);
      }
    }
  });

  await t.step("what is no photo is answered with what is wrong", async () => {
    const refusals: [Promise<Response>, number, RegExp][] = [
      [server.fetch("/"), 405, /^method not allowed: send the photo with POST$/],
      [server.fetch("/", { method: "DELETE" }), 405, /^method not allowed/],
      [
        post("hello", { "content-type": "text/plain" }),
        415,
        /^unsupported content type "text\/plain.*": send an image/,
      ],
      [post("hello"), 422, /^photo: /],
      [post(coffee.slice(0, 9000)), 422, /^photo: the JPEG/],
      [post(hugePng()), 413, /^photo: is 30000×30000 pixels/],
      [post(coffee, jpegType, "/?top=x"), 400, /^top is "x", must be/],
    ];
    for (const [answer, status, line] of refusals) {
      const response = await answer;
      const { error } = await response.json();
      assertMatch(error, line);
      assertEquals(response.status, status);
      if (status === 405) assertEquals(response.headers.get("allow"), "POST");
    }
  });

  await t.step("a body that is too large is not read to its end", async () => {
    const type = "Content-Type: image/jpeg";
    const zeros = new Uint8Array(2 ** 16);
    // one that says so is not begun: nothing but the head is sent
    const said = await server.flood([type, "Content-Length: 1000000000"]);
    assertMatch(said.line, /^HTTP\/1\.1 413 /);

    const chunked = new Uint8Array([...new TextEncoder().encode("10000\r\n"), ...zeros, 13, 10]);
    const unsaid = await server.flood([type, "Transfer-Encoding: chunked"], chunked);
    assertMatch(unsaid.line, /^HTTP\/1\.1 413 /);
    // what the system holds of a connection comes on top
    assert(unsaid.sent < maxBytes + 12 * 2 ** 20, `sent ${unsaid.sent}`);
  });

  await t.step("and then a JPEG again", async () => {
    assertEquals(await labelOf(await post(coffee)), "espresso");
  });
}
