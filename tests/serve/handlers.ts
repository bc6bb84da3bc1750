/** A handler of photos with a model that needs no weights, and requests to it. */

import { photoHandler, type PhotoHandlerOptions } from "../../src/serve/mod.ts";
import { assertEquals } from "../assert.ts";

const photos = new URL("../photos/", import.meta.url);
export const coffee = await Deno.readFile(new URL("coffee.jpg", photos));
export const predictions = [1, 2, 3].map((index) => ({
  index,
  wnid: "",
  label: `${index}`,
  probability: 1 / 2 ** index,
}));

/** A handler with a model that always returns the same predictions. */
export function handlerOf(options: Partial<PhotoHandlerOptions> = {}) {
  return photoHandler({
    load: () => ({
      type: "Fake",
      classify: (_, { topK }) => Promise.resolve(predictions.slice(0, topK)),
    }),
    onError: (error) => {
      throw error;
    },
    ...options,
  });
}

export const post = (
  body: BodyInit | null,
  type: string | undefined = "image/jpeg",
  headers: HeadersInit = {},
) =>
  new Request("http://x.test/", {
    method: "POST",
    body,
    headers: { ...(type === "" ? {} : { "content-type": type }), ...headers },
  });

/** The status and message of an error response. */
export async function errorOf(response: Response): Promise<[number, string]> {
  assertEquals(response.headers.get("content-type"), "application/json");
  const { error, ...rest } = await response.json();
  assertEquals(rest, {});
  return [response.status, error];
}
