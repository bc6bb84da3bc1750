/** Concurrent mapping and batching of asynchronous sequences; both keep the order. */

/** Maps items, with up to `limit` calls of `work` in progress. Yields the results in their order. */
export async function* mapConcurrently<T, U>(
  items: AsyncIterator<T>,
  limit: number,
  work: (item: T) => Promise<U>,
): AsyncGenerator<U> {
  const queue: Promise<U>[] = [];
  let next: Promise<IteratorResult<T>> | undefined, done = false;
  while (!done || queue.length > 0) {
    if (!done && queue.length < limit) next ??= ignoreRejection(items.next());
    const [first] = queue;
    // a result that is ready does not wait for a slow item
    const item = next && await (first ? Promise.race([next, first.then(noop, noop)]) : next);
    if (item) {
      next = undefined;
      if (item.done) done = true;
      else queue.push(ignoreRejection(work(item.value)));
    } else yield await queue.shift()!;
  }
}

/** Groups items into batches of up to `size`. A batch waits at most `delayMs` for more items. */
export async function* batches<T>(
  items: AsyncIterator<T>,
  size: number,
  delayMs: number,
): AsyncGenerator<T[]> {
  let next: Promise<IteratorResult<T>> | undefined;
  for (let done = false; !done;) {
    next ??= ignoreRejection(items.next());
    let item: IteratorResult<T> | undefined = await next;
    const batch: T[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<undefined>((resolve) => {
      if (size > 1) timer = setTimeout(() => resolve(undefined), delayMs);
    });
    while (item && !item.done) {
      batch.push(item.value);
      next = undefined;
      if (batch.length === size) break;
      next = ignoreRejection(items.next());
      item = await Promise.race([next, timeout]);
    }
    if (timer !== undefined) clearTimeout(timer);
    done = item?.done === true;
    if (batch.length > 0) yield batch;
  }
}

/** Converts a list to an asynchronous sequence. */
export async function* each<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

function noop(): void {}

/** Returns the same promise. Its rejection does not count as unhandled if it is awaited late, or never. */
function ignoreRejection<T>(promise: Promise<T>): Promise<T> {
  promise.catch(noop);
  return promise;
}
