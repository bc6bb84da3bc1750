/**
 * The kernels that measure the machine.
 *
 * @module
 */

/** What assembly/tiles.ts exports. */
export interface MachineKernels {
  prepare(): void;
  multiply(times: number): void;
  operations(): number;
  heapBase(): number;
  touch(p: number, bytes: number): void;
  sum(p: number, bytes: number): number;
}

/** An instance with a memory that holds its tile and nothing else. */
export function instantiate(module: WebAssembly.Module) {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return { memory, kernels: exports as unknown as MachineKernels };
}
