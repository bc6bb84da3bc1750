/** Sequences of which several items are under way, in their order all the same. */

/**
 * What `work` makes of each item, in the order of the items. Up to `most` of them are under way
 * before the first is taken; no item is asked for earlier.
 */
export async function* ahead<T, U>(
  items: AsyncIterator<T>,
  most: number,
  work: (item: T) => Promise<U>,
): AsyncGenerator<U> {
  const queue: Promise<U>[] = [];
  let next: Promise<IteratorResult<T>> | undefined, ended = false;
  while (!ended || queue.length > 0) {
    if (!ended && queue.length < most) next ??= handled(items.next());
    const [first] = queue;
    // what is ready need not wait for an item that comes slowly
    const come = next && await (first ? Promise.race([next, first.then(nothing, nothing)]) : next);
    if (come) {
      next = undefined;
      if (come.done) ended = true;
      else queue.push(handled(work(come.value)));
    } else yield await queue.shift()!;
  }
}

/**
 * Items in groups of up to `most`. One that has waited for `patienceMs` goes with those that are there.
 */
export async function* batches<T>(
  items: AsyncIterator<T>,
  most: number,
  patienceMs: number,
): AsyncGenerator<T[]> {
  let next: Promise<IteratorResult<T>> | undefined;
  for (let ended = false; !ended;) {
    next ??= handled(items.next());
    let come: IteratorResult<T> | undefined = await next;
    const batch: T[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<undefined>((resolve) => {
      if (most > 1) timer = setTimeout(() => resolve(undefined), patienceMs);
    });
    while (come && !come.done) {
      batch.push(come.value);
      next = undefined;
      if (batch.length === most) break;
      next = handled(items.next());
      come = await Promise.race([next, late]);
    }
    clearTimeout(timer);
    ended = come?.done === true;
    if (batch.length > 0) yield batch;
  }
}

function nothing(): void {}

/** The same promise: if nobody comes to see it fail, that is no error. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(nothing);
  return promise;
}
