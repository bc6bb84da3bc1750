// How threads share a kernel. Each thread has its own instance of the module, all over one memory, and
// calls the kernel with the same arguments. A kernel is a sequence of phases. A phase is a number of
// independent items:
//
//   for (let i = claim(items); i >= 0; i = claim(items)) { … item i … }
//   join(items);
//
// Threads claim one item at a time. So a slow thread computes fewer items, and the others do the work of
// one that is late or missing. Half of the threads claim items from the first on, the others from the last on.
// So a thread mostly gets the same part of the image in one kernel after the other, and finds it in its cache.
// An item gives the same result on every thread. In builds without threads the loop simply counts. Variables of
// a module belong to a thread; constants in memory are shared.

import { Word } from "./codes";

/** This thread's number, 0 for the caller's, and the number of threads. */
let threadIndex: i32 = 0;
export let threads: i32 = 1;

/** Address of the words that threads share, and offsets of some. */
let control: usize = 0;
const CLAIMS: usize = Word.claims << 2; // see claimShared
const FAILED: usize = Word.failed << 2;
const DONE: usize = Word.done << 2;

/** When threads share the kernel: the number of this phase, and the items of all earlier ones. */
let phase: i32 = 0, earlierItems: i32 = 0;
/** The next item of this phase, when one thread computes all of them. */
let nextItem: i32 = 0;
/** Whether this thread runs the current loops by itself, inside an item that it has claimed. */
let solo: bool = false;
/** Whether this thread has claimed an item that it has not finished. */
let hasItem: bool = false;
/** Whether the engine lets this thread sleep. */
let canSleep: bool = false;

/** Memory of this thread alone, for values between two steps. What lies in it, in bytes from its beginning: */
export let threadMemory: usize = memory.data(2048, 16);
/** At most 64 words: a tile that is not whole (gemm*.ts, linear_batch.ts), four floats, or counts. */
export const EDGE_TILE: usize = 0;
/**
 * Tiles of winograd*.ts that are transformed along one axis: 8×8 vectors. The gradient of 5×5 weights takes one
 * vector more, the first of TAPS.
 */
export const HALF_TILE: usize = 256;
/** A row of the kernels of winograd_weights.ts: 5 vectors. */
export const TAPS: usize = 1280;
/** The maxima of columns of windows (max_pool2d.ts), which uses no tiles. */
export const COLUMN_MAXIMA: usize = HALF_TILE;
export const COLUMN_MAXIMA_FLOATS: i32 = 256;
/** A Product (gemm_tiles.ts), or an IntProduct (gemm_int8.ts). */
export const PRODUCT: usize = 1408;

/**
 * How often a waiting thread checks before it starts to sleep: for a third of a millisecond. It then sleeps for a
 * tenth of a millisecond at a time, and may wake too late for the next kernel.
 */
const SPINS: i32 = 16_000;
/**
 * Plain loads before each check. In Safari's engine, measured in Bun, an atomic load takes twenty times as long as a
 * plain one.
 */
const GLANCES: i32 = 64;

/** Makes this instance one of several over a memory. */
export function setThread(
  number: i32, count: i32, shared: usize, ownMemory: usize, sleeps: i32,
): void {
  threadIndex = number;
  threads = count;
  control = shared;
  threadMemory = ownMemory;
  canSleep = sleeps != 0;
}

/** Every thread calls this before a kernel that all of them run. */
export function beginKernel(): void {
  phase = 0;
  earlierItems = 0;
  nextItem = 0;
  hasItem = false;
  solo = false;
}

/** Bytes of scratch memory for all threads, when each needs `bytes`. */
// @ts-ignore: decorator
@inline
export function bytesForThreads(bytes: f64): f64 {
  return (threads as f64) * roundToCacheLine(bytes);
}

/** This thread's part of such scratch memory. */
// @ts-ignore: decorator
@inline
export function threadScratch(scratch: usize, bytes: f64): usize {
  return scratch + (threadIndex as usize) * (roundToCacheLine(bytes) as usize);
}

/** Rounds up, so that two threads never write to the same cache line. */
// @ts-ignore: decorator
@inline
function roundToCacheLine(bytes: f64): f64 {
  return Math.ceil(bytes / 64) * 64;
}

/** Finishes the item claimed before, and claims the next one of this phase; −1 when none is left. */
export function claim(items: i32): i32 {
  if (ASC_FEATURE_THREADS && threads > 1 && !solo) {
    if (hasItem) atomic.add<i32>(control + DONE, 1);
    hasItem = false;
    return claimShared(items);
  }
  return nextItem < items ? nextItem++ : -1;
}

/**
 * The parts of CLAIMS: 22 bits for the items claimed from the front, 22 for those from the back, and 20 for the
 * number of the phase. With more items than MOST_ITEMS, all are claimed from the front, which then has 44 bits.
 */
const BACK: i64 = 22, PHASE: i64 = 44;
const MOST_ITEMS: i32 = (1 << 22) - 1, LAST_PHASE: i32 = (1 << 20) - 1;

/** Claims an item. It calls itself if another thread was faster, so it is never inlined. */
function claimShared(items: i32): i32 {
  const claims = atomic.load<i64>(control + CLAIMS); // before DONE: see below
  if (atomic.load<i32>(control + DONE) - earlierItems >= items) return -1; // this thread is late for the phase
  const fromBoth = items <= MOST_ITEMS;
  let front: i64 = 0, back: i64 = 0;
  // the phase was not finished when `claims` was loaded, so claims of another phase are of an earlier one
  if ((claims >>> PHASE) as i32 == phase) {
    front = claims & ((1 << (fromBoth ? BACK : PHASE)) - 1);
    back = fromBoth ? claims >>> BACK & MOST_ITEMS : 0;
  }
  if (front + back >= items) return -1;
  const item = fromBoth && 2 * threadIndex >= threads ? items - 1 - (back++ as i32) : front++ as i32;
  const next = (phase as i64) << PHASE | back << BACK | front;
  if (atomic.cmpxchg<i64>(control + CLAIMS, claims, next) != claims) return claimShared(items);
  hasItem = true;
  return item;
}

/** Waits until all items of this phase are finished, and begins the next phase. */
export function join(items: i32): void {
  if (ASC_FEATURE_THREADS && threads > 1 && !solo) {
    earlierItems += items;
    phase = phase + 1 & LAST_PHASE;
    for (let spins = 0; atomic.load<i32>(control + DONE) - earlierItems < 0; spins++) {
      if (atomic.load<i32>(control + FAILED)) unreachable();
      for (let i = 0; i < GLANCES && load<i32>(control + DONE) - earlierItems < 0; i++) {}
      if (spins > SPINS && canSleep) {
        atomic.wait<i32>(control + DONE, atomic.load<i32>(control + DONE), 100_000);
      }
    }
  } else {
    nextItem = 0;
  }
}

/** Makes claim() and join() count for this thread alone, or for all threads again. */
export function setSolo(value: bool): void {
  solo = value;
}

/** Floats that are worth a claim. */
export const CHUNK: i32 = 16384;

/** Rows of `size` floats that make an item. */
export function rowsPerItem(size: i32): i32 {
  return max(1, CHUNK / size);
}

/** ⌈total / size⌉ */
// @ts-ignore: decorator
@inline
export function ceilDiv(total: i32, size: i32): i32 {
  return (total + size - 1) / size;
}
