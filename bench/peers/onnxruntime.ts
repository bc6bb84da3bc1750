/**
 * ONNX Runtime in three builds.
 *
 * - WebAssembly. In Deno, it has one thread, because its worker threads do not start there.
 * - The same on WebGPU.
 * - Native, for comparison with code that uses every instruction of the processor. Its npm package
 *   includes the CPU library. The install script, which Deno skips, only downloads the CUDA library.
 *
 * @module
 */

import type { Network } from "./network.ts";
import { networkModel } from "./network_model.ts";
import { convModel, outputName } from "./onnx_model.ts";
import { inputName } from "./operations.ts";
import type { ConvPeer, NetworkPeer, PeerOptions, Values, Work } from "./peer.ts";

const version = "1.30.0";

/** The part of the API that is used here. It is the same in all builds. */
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

/** The WebAssembly build, on the CPU or on WebGPU. */
export async function web(
  device: "wasm" | "webgpu",
  { threads }: PeerOptions = { threads: 1 },
): Promise<Runtime> {
  const ort = device === "wasm"
    ? await import("npm:onnxruntime-web@1.30.0")
    : await import("npm:onnxruntime-web@1.30.0/webgpu");
  ort.env.wasm.numThreads = threads;
  return {
    name: device === "wasm" ? "onnxruntime-web" : "onnxruntime-webgpu",
    threads,
    async open(model) {
      // Its Emscripten code mistakes Deno for Node and replaces the global Worker, which others need.
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

export async function createNetworkPeer(
  runtime: Runtime,
  network: Network,
): Promise<NetworkPeer> {
  const session = await runtime.open(networkModel(network));
  const output = network.operations.at(-1)!.output;
  return {
    name: runtime.name,
    version,
    threads: runtime.threads,
    forward: (x, batch) => work(runtime, session, output, x, [batch, ...network.image]),
    dispose: () => session.release(),
  };
}

/** Forward only. Tensors are in ordinary memory, so a run includes copying them in and out. */
export function createConv(runtime: Runtime): ConvPeer {
  const sessions: Session[] = [];
  return {
    name: runtime.name,
    version,
    threads: runtime.threads,
    async convolve(pass, problem) {
      if (pass !== "forward") throw new Error("it computes no gradients");
      const session = await runtime.open(convModel(problem));
      sessions.push(session);
      return work(runtime, session, outputName, problem.x, problem.xShape);
    },
    async dispose() {
      for (const session of sessions) await session.release();
    },
  };
}

function work(
  runtime: Runtime,
  session: Session,
  output: string,
  x: Values,
  shape: readonly number[],
): Work {
  let data: Float32Array;
  return {
    async run() {
      const start = performance.now();
      const outputs = await session.run({ [inputName]: runtime.tensor(x, shape) });
      data = outputs[output].data as Float32Array;
      return performance.now() - start;
    },
    output: () => Promise.resolve(data),
  };
}
