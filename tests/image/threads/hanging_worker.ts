/** The decode worker, except that PNG images never end. */

import "../../../src/image/threads/worker.ts";

const scope = globalThis as unknown as { DecompressionStream: unknown };

/** Takes all data, and returns none. */
scope.DecompressionStream = class {
  readonly readable = new ReadableStream();
  readonly writable = new WritableStream();
};
