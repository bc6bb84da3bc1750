// How threads share a kernel. All of them call it with the same arguments, each in its own instance
// over one memory; the kernel is a row of phases, a phase a number of independent items:
//
//   for (let i = claim(items); i >= 0; i = claim(items)) { … item i … }
//   join(items);
//
// Items are handed out as threads ask for them, so a slow thread gets fewer, and a thread that comes
// late, or never, leaves its share to the others. Which thread computes an item does not change it.
// In the builds without threads the same loop simply counts.

/** This thread's number, 0 for the caller's, and how many there can be. */
let index: i32 = 0;
export let threads: i32 = 1;

/** What the threads share, as src/backend/wasm/threads.ts lays it out. */
let control: usize = 0;
const TICKETS: usize = 8; // items handed out since the kernel was called
const DONE: usize = 12; // and how many of them are finished
const FAILED: usize = 32; // not 0 when a thread's kernel threw

/** Items of the phases before this one, where threads share them … */
let before: i32 = 0;
/** … and those of this phase that are handed out, where one thread has them all. */
let own: i32 = 0;
/** Whether this thread is inside an item that it was handed: the loops in there are its own. */
let alone: bool = false;
/** Whether this thread has an item in hand. */
let busy: bool = false;
/** Where the engine lets this thread sleep. */
let maySleep: bool = false;

/** A few hundred bytes that this thread alone writes to, for tiles between two steps. */
export let area: usize = memory.data(2048, 16);
export const EDGE_TILE: usize = 0; // gemm.ts: 4×8 floats, linear_batch.ts: 6×8
export const HALF_TILE: usize = 256; // winograd*.ts: 8×8 vectors
export const TAPS: usize = 1280; // winograd*.ts: 5 vectors
export const PRODUCT: usize = 1408; // gemm.ts: a Product

/** Makes this instance one of several over a memory. */
export function setThread(
  number: i32, count: i32, shared: usize, own: usize, sleeps: i32,
): void {
  index = number;
  threads = count;
  control = shared;
  area = own;
  maySleep = sleeps != 0;
}

/** Called by each thread before a kernel that all of them run. */
export function enter(): void {
  before = 0;
  own = 0;
  busy = false;
  alone = false;
}

/** Bytes of scratch for all threads, when each needs so many. */
// @ts-ignore: decorator
@inline
export function forThreads(bytes: f64): f64 {
  return (threads as f64) * wholeLines(bytes);
}

/** This thread's part of it. */
// @ts-ignore: decorator
@inline
export function ofThread(scratch: usize, bytes: f64): usize {
  return scratch + (index as usize) * (wholeLines(bytes) as usize);
}

/** Two threads never write to one cache line of scratch. */
// @ts-ignore: decorator
@inline
function wholeLines(bytes: f64): f64 {
  return Math.ceil(bytes / 64) * 64;
}

/** The next item of this phase, or −1 when all are handed out; the one before is finished. */
export function claim(items: i32): i32 {
  if (ASC_FEATURE_THREADS && threads > 1 && !alone) {
    if (busy) atomic.add<i32>(control + DONE, 1);
    busy = false;
    for (let ticket = atomic.load<i32>(control + TICKETS); ticket < before + items;) {
      const seen = atomic.cmpxchg<i32>(control + TICKETS, ticket, ticket + 1);
      if (seen == ticket) {
        busy = true;
        return ticket - before;
      }
      ticket = seen;
    }
    return -1;
  }
  return own < items ? own++ : -1;
}

/** Between two calls of this, claim() and join() are for this thread alone. */
export function workAlone(yes: bool): void {
  alone = yes;
  own = 0;
}

/** Floats that are worth handing out to a thread. */
export const PIECE: i32 = 16384;

/** Rows of `size` floats that make such a piece. */
export function rowsAtOnce(size: i32): i32 {
  return max(1, PIECE / size);
}

/** How often that goes into `total`, the last time perhaps in part. */
// @ts-ignore: decorator
@inline
export function parts(total: i32, atOnce: i32): i32 {
  return (total + atOnce - 1) / atOnce;
}

/** Waits until all items of this phase are finished, and begins the next. */
export function join(items: i32): void {
  if (ASC_FEATURE_THREADS && threads > 1 && !alone) {
    before += items;
    for (let spins = 0; atomic.load<i32>(control + DONE) < before; spins++) {
      if (atomic.load<i32>(control + FAILED)) unreachable();
      if (spins > SPINS && maySleep) {
        atomic.wait<i32>(control + DONE, atomic.load<i32>(control + DONE), 100_000);
      }
    }
  } else {
    own = 0;
  }
}

/** Looks at the memory before a thread begins to sleep for a tenth of a millisecond at a time. */
const SPINS: i32 = 20_000;
