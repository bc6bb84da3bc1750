import { photoHandler } from "../../src/serve/mod.ts";
import { assertEquals } from "../assert.ts";

const post = () => {
  const headers = { "content-type": "image/png" };
  return new Request("http://x.test/", { method: "POST", body: "photo", headers });
};
const model = { type: "Fake", classify: () => Promise.resolve([]) };

Deno.test("photoHandler() gives up a load that stalls, and then loads again", async () => {
  for (const stops of [true, false]) {
    const errors: unknown[] = [], signals: AbortSignal[] = [];
    const handler = photoHandler({
      loadMs: 20,
      onError: (error) => errors.push(error),
      decode: () =>
        Promise.resolve({ width: 1, height: 1, input: new Float32Array(1), warnings: [] }),
      load: ({ signal }) => {
        if (signals.push(signal) === 2) return model;
        return new Promise<never>((_, reject) => {
          if (stops) signal.addEventListener("abort", () => reject(new Error("stopped")));
        });
      },
    });
    for (const answer of await Promise.all([handler(post()), handler(post())])) {
      assertEquals([answer.status, answer.headers.get("retry-after")], [503, "1"]);
      assertEquals(await answer.json(), { error: "the model is not loaded yet, retry later" });
    }
    assertEquals(errors.map(String), ["PembrokeError: the model did not load in 0.02 s"]);
    assertEquals(signals[0].aborted, true);
    assertEquals((await handler(post())).status, 200);
    assertEquals([signals.length, signals[1].aborted], [2, false]);
  }
});
