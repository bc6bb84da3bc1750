/**
 * ONNX Runtime three times: its WebAssembly build as it runs in Deno, on one thread (more are offered
 * and refused, because its worker threads do not start there), the same on WebGPU, and its native build, which is what the
 * same machine does outside of WebAssembly with every instruction the processor has. The native
 * build's npm package ships the library for the CPU; the install script that Deno leaves out only
 * fetches the one for CUDA.
 *
 * @module
 */

import { alexNetModel, convModel, INPUT, OUTPUT } from "./onnx_model.ts";
import { IMAGE } from "./architecture.ts";
import type { AlexNetPeer, AlexNetWeights, ConvPeer, PeerOptions, Values, Work } from "./peer.ts";

const VERSION = "1.30.0";

/** What the two builds have in common and the bench needs. */
interface Session {
  run(feeds: Record<string, unknown>): Promise<{ readonly [name: string]: { data: unknown } }>;
  release(): Promise<void>;
}

interface Runtime {
  readonly name: string;
  readonly threads: number;
  open(model: Uint8Array<ArrayBuffer>): Promise<Session>;
  tensor(values: Values, shape: readonly number[]): unknown;
}

/** The WebAssembly build, or what it does on WebGPU. */
export async function web(device: "wasm" | "webgpu"): Promise<Runtime> {
  const ort = device === "wasm"
    ? await import("npm:onnxruntime-web@1.30.0")
    : await import("npm:onnxruntime-web@1.30.0/webgpu");
  ort.env.wasm.numThreads = 1;
  return {
    name: device === "wasm" ? "onnxruntime-web" : "onnxruntime-webgpu",
    threads: 1,
    async open(model) {
      // Its Emscripten takes Deno for Node and replaces the global Worker, which others need.
      const { Worker } = globalThis;
      try {
        return await ort.InferenceSession.create(model, {
          executionProviders: [device],
          graphOptimizationLevel: "all",
        });
      } finally {
        globalThis.Worker = Worker;
      }
    },
    tensor: (values, shape) => new ort.Tensor("float32", values, shape),
  };
}

/** The native build. */
export async function node({ threads }: PeerOptions): Promise<Runtime> {
  const ort = await import("npm:onnxruntime-node@1.30.0");
  return {
    name: "onnxruntime-node",
    threads,
    open: (model) =>
      ort.InferenceSession.create(model, {
        executionProviders: ["cpu"],
        graphOptimizationLevel: "all",
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
      }),
    tensor: (values, shape) => new ort.Tensor("float32", values, shape),
  };
}

export async function createAlexNet(
  runtime: Runtime,
  weights: AlexNetWeights,
): Promise<AlexNetPeer> {
  const session = await runtime.open(alexNetModel(weights));
  return {
    name: runtime.name,
    version: VERSION,
    threads: runtime.threads,
    forward: (x, batch) => work(runtime, session, x, [batch, ...IMAGE]),
    dispose: () => session.release(),
  };
}

/** Forward only. Its tensors live in ordinary memory: copying them in and out is part of a run. */
export function createConv(runtime: Runtime): ConvPeer {
  const sessions: Session[] = [];
  return {
    name: runtime.name,
    version: VERSION,
    threads: runtime.threads,
    async convolve(pass, problem) {
      if (pass !== "forward") throw new Error("it computes no gradients");
      const session = await runtime.open(convModel(problem));
      sessions.push(session);
      return work(runtime, session, problem.x, problem.xShape);
    },
    async dispose() {
      for (const session of sessions) await session.release();
    },
  };
}

function work(runtime: Runtime, session: Session, x: Values, shape: readonly number[]): Work {
  let data: Float32Array;
  return {
    async run() {
      const start = performance.now();
      const outputs = await session.run({ [INPUT]: runtime.tensor(x, shape) });
      data = outputs[OUTPUT].data as Float32Array;
      return performance.now() - start;
    },
    answer: () => Promise.resolve(data),
  };
}
