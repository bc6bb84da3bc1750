/** The decode worker, except that files starting with "throw" or "reject" crash it. */

import "../../../src/image/threads/worker.ts";

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<{ readonly bytes: Uint8Array<ArrayBuffer> }>) => void;
};
const decode = scope.onmessage;

scope.onmessage = (event) => {
  const start = new TextDecoder().decode(event.data.bytes.subarray(0, 6));
  if (start.startsWith("throw")) throw new RangeError("out of memory\nat a place");
  if (start === "reject") void Promise.reject(new RangeError("out of memory\nat a place"));
  else decode(event);
};
