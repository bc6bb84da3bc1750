/** The page's side of examples/web/classify. */

import { unlessAborted } from "../../examples/web/classify/turn.ts";
import { assertEquals, assertRejects } from "../assert.ts";

// not a static import: the types of the DOM are not for the other tests
const { Client } = await import(
  `${new URL("../../examples/web/classify/client.ts", import.meta.url)}`
);

/** A signal that counts its listeners. */
class CountedSignal extends EventTarget {
  readonly aborted = false;
  readonly reason = new DOMException("enough", "AbortError");
  readonly listeners = new Set<unknown>();

  override addEventListener(...args: Parameters<EventTarget["addEventListener"]>): void {
    this.listeners.add(args[1]);
    super.addEventListener(...args);
  }

  override removeEventListener(...args: Parameters<EventTarget["removeEventListener"]>): void {
    this.listeners.delete(args[1]);
    super.removeEventListener(...args);
  }
}

function countedSignal(): CountedSignal & AbortSignal {
  return new CountedSignal() as unknown as CountedSignal & AbortSignal;
}

interface Message {
  readonly id: number;
  readonly call?: string;
  readonly cancel?: true;
}

/** A worker that answers each call in its own way. */
class FakeWorker extends EventTarget {
  readonly messages: Message[] = [];

  postMessage(message: Message): void {
    this.messages.push(message);
    const { id, call } = message;
    const answer = call === "fail" ? { error: "no", kind: "FileError" } : { returned: call };
    if (call === undefined || call === "hang") return;
    queueMicrotask(() =>
      this.dispatchEvent(new MessageEvent("message", { data: { id, ...answer } }))
    );
  }
}

Deno.test("calls leave no listener on a signal that outlives them", async () => {
  const worker = new FakeWorker(), signal = countedSignal();
  const client = new Client(worker);
  for (let i = 0; i < 3; i++) {
    assertEquals(await client.call("a", i, { signal }), "a");
    await assertRejects(() => client.call("fail", i, { signal }), Error, "no");
    assertEquals(signal.listeners.size, 0);
  }
  const hanging = client.call("hang", 0, { signal });
  assertEquals(signal.listeners.size, 1);
  signal.dispatchEvent(new Event("abort"));
  await assertRejects(() => hanging, DOMException, "enough");
  assertEquals(signal.listeners.size, 0);
  assertEquals(worker.messages.at(-1)?.cancel, true);
});

Deno.test("unlessAborted() leaves no listener on its signal", async () => {
  const signal = countedSignal();
  assertEquals(await unlessAborted(Promise.resolve(1), signal), 1);
  await assertRejects(() => unlessAborted(Promise.reject(new Error("no")), signal), Error, "no");
  assertEquals(signal.listeners.size, 0);
  const waiting = unlessAborted(new Promise(() => {}), signal);
  signal.dispatchEvent(new Event("abort"));
  await assertRejects(() => waiting, DOMException, "enough");
});

Deno.test("files of taught networks have plain names", async () => {
  const { fileNameOf } = await import(
    `${new URL("../../examples/web/classify/teach_text.ts", import.meta.url)}`
  );
  assertEquals(fileNameOf(["Cats", "Hot Dogs!"]), "cats-hot-dogs");
  assertEquals(fileNameOf(["…", "Käse", "?"]), "käse");
  assertEquals(fileNameOf(["🐱", "🐶"]), "my-classes");
  assertEquals(fileNameOf(["a".repeat(59), "b"]), "a".repeat(59));
});
