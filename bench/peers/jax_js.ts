/**
 * jax-js on its WebAssembly backend, which generates a kernel for every expression. Gradients come from
 * its vjp(), and everything is compiled with its jit().
 *
 * @module
 */

import type { Array as JaxArray } from "npm:@jax-js/jax@0.1.25";
import type { ConvPeer, PeerOptions } from "./peer.ts";
import { resultWork } from "./result_work.ts";

export async function createConv({ threads }: PeerOptions): Promise<ConvPeer> {
  const jax = await start(threads);
  return {
    name: "jax-js",
    version: "0.1.25",
    threads,
    slow: true,
    convolve(pass, { layer: { stride, padding }, xShape, weightShape, yShape, ...values }) {
      const array = (values: Float32Array<ArrayBuffer>, shape: readonly number[]) =>
        jax.numpy.array(values).reshape([...shape]);
      const strides = [stride, stride], sides: [number, number] = [padding, padding];
      const conv = (x: JaxArray, weight: JaxArray) =>
        jax.lax.convGeneralDilated(x, weight, strides, [sides, sides]);
      const gradient = (f: (of: JaxArray) => JaxArray, at: JaxArray, dy: JaxArray) => {
        const [y, pullBack] = jax.vjp(f, [at]);
        y.dispose(); // never computed, because jit() drops unused results
        return pullBack(dy)[0];
      };
      const passes = {
        forward: conv,
        dx: (x: JaxArray, weight: JaxArray, dy: JaxArray) =>
          gradient((x) => conv(x, weight), x, dy),
        dw: (x: JaxArray, weight: JaxArray, dy: JaxArray) =>
          gradient((weight) => conv(x, weight), weight, dy),
      };
      const jitted = jax.jit(passes[pass] as (...operands: JaxArray[]) => JaxArray);
      const operands = [array(values.x, xShape), array(values.weight, weightShape)];
      if (pass !== "forward") operands.push(array(values.dy, yShape));
      // A function consumes its arguments; ref keeps them alive for the next run.
      const compute = () => jax.blockUntilReady(jitted(...operands.map((operand) => operand.ref)));
      const read = async (result: JaxArray) => await result.ref.data() as Float32Array;
      return resultWork({ operands, compute }, read);
    },
    dispose() {},
  };
}

/** Starts jax-js, which starts one worker for each of `navigator.hardwareConcurrency`. */
async function start(threads: number) {
  const processors = Object.getOwnPropertyDescriptor(navigator, "hardwareConcurrency");
  Object.defineProperty(navigator, "hardwareConcurrency", { value: threads, configurable: true });
  try {
    const jax = await import("npm:@jax-js/jax@0.1.25");
    const devices = await jax.init("wasm");
    if (!devices.includes("wasm")) throw new Error("its wasm backend does not start");
    jax.defaultDevice("wasm");
    return jax;
  } finally {
    if (processors) Object.defineProperty(navigator, "hardwareConcurrency", processors);
    else Reflect.deleteProperty(navigator, "hardwareConcurrency");
  }
}
