/** The decode worker, except that files that start or end with "throw" or "reject" crash it. */

import "../../../src/image/threads/worker.ts";

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<{ readonly bytes: Uint8Array<ArrayBuffer> }>) => void;
};
const decode = scope.onmessage;

scope.onmessage = (event) => {
  const { bytes } = event.data, decoder = new TextDecoder();
  const start = decoder.decode(bytes.subarray(0, 6)), end = decoder.decode(bytes.subarray(-6));
  if (start.startsWith("throw") || end.endsWith("throw")) {
    throw new RangeError("out of memory\nat a place");
  }
  if (start === "reject" || end === "reject") {
    void Promise.reject(new RangeError("out of memory\nat a place"));
  } else decode(event);
};
