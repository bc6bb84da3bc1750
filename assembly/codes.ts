// Numbers that kernels and TypeScript call by the same names, counted from 0. `deno task build` turns them into
// TypeScript (src/backend/wasm/generated/geometry.ts).

/** The activation functions of single elements, with two numbers a and b. */
export enum ActivationKind {
  /** max(x, 0) */
  relu,
  /** x where x > 0, a·x elsewhere */
  leakyRelu,
  /** min(max(x, a), b) */
  hardtanh,
  /** min(max(a·x + b, 0), 1) */
  hardsigmoid,
  /** x · min(max(x + 3, 0), 6) / 6 */
  hardswish,
  /** 1 / (1 + exp(−x)) */
  sigmoid,
  /** The hyperbolic tangent. */
  tanh,
  /** x · sigmoid(x · (a + b·x²)). With other numbers than 1 and 0 it is the GELU by tanh. */
  silu,
  /** x · (1 + erf(x/√2)) / 2 */
  gelu,
  /** log(1 + exp(a·x)) / a, or x where a·x > b */
  softplus,
  /** x where x > 0, a · (exp(x) − 1) elsewhere */
  elu,
  /** a · min(max(round(x / a), b), b + 255), ties to even: x in 8 bits */
  fakeQuantize,
}

/** The activations that a kernel applies to its result before it stores it (inline/activate.ts). */
export enum FusedKind {
  /** x */
  none,
  /** max(x, 0) */
  relu,
  /** min(max(x, 0), 6) */
  relu6,
  /** x · min(max(x + 3, 0), 6) / 6 */
  hardswish,
  /** x / (1 + exp(−x)) */
  silu,
}

/** The words of four bytes that threads share (src/backend/wasm/worker.ts, threads.ts). */
export enum Word {
  /** Counts kernels. Waiting threads wait for it to change. */
  calls,
  /** The number of workers inside the current kernel, plus `gateOpen` while more may enter. */
  gate,
  /** Items of work that were claimed, 64 bits; kernels count them. */
  claims,
  /** The upper half of the claims. */
  claimsAbove,
  /** Workers that sleep. */
  sleepers,
  /** Not 0 once the workers shall end. */
  stop,
  /** The number of the kernel. */
  kernel,
  /** Not 0 while the caller prepares a kernel, so that it is worth waiting for. */
  announced,
  /** Not 0 once a thread's kernel has thrown, so that the others stop waiting for it. */
  failed,
  /** Items of work that are finished since the kernel began; kernels count them. */
  done,
  /** The first of the kernel's arguments, float64. */
  arguments,
}
