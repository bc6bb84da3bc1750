/**
 * This library, through its public API.
 *
 * @module
 */

import denoJson from "../../deno.json" with { type: "json" };
import {
  type Backend,
  type Classifier,
  Conv2d,
  conv2d,
  conv2dBackwardInput,
  conv2dBackwardWeight,
  type Conv2dOptions,
  createBackend,
  createModel,
  crossEntropy,
  type Precision,
  SGD,
  type Tensor,
} from "../../mod.ts";
import { type AlgorithmOptions, prepareConv } from "../../src/ops/prepared_conv.ts";
import type { Network } from "./network.ts";
import type {
  ConvPeer,
  ConvProblem,
  NetworkPeer,
  Pass,
  Peer,
  PeerOptions,
  TrainingPeer,
} from "./peer.ts";
import { type Computation, resultWork } from "./result_work.ts";
import { trainingTolerance, trainingWork } from "./steps.ts";

/** A network in float32. */
export function createNetworkPeer(network: Network, options: PeerOptions): Promise<NetworkPeer> {
  return networkPeer(network, "f32", options);
}

/**
 * A network with weights in int8. Rounding changes the logits. With weights and inputs of all layers
 * in 8 bits, simulated in PyTorch, they change by 1 % of the largest without batch normalisation, and
 * by 3 to 26 % with it, because the random networks amplify errors. Of wrong logits, it is about 100 %.
 */
export async function createInt8Peer(
  network: Network,
  options: PeerOptions,
): Promise<NetworkPeer> {
  const peer = await networkPeer(network, "int8", options);
  const isNormalised = network.operations.some(({ op }) => op === "norm");
  return { ...peer, variant: "int8", tolerance: isNormalised ? 0.3 : 0.02 };
}

/** A network on WebGPU. */
export function createGpuPeer(network: Network): Promise<NetworkPeer> {
  return networkPeer(network, "f32", { threads: 1 }, "webgpu");
}

/** A network on WebGPU with fully connected weights in f16. */
export async function createHalfGpuPeer(network: Network): Promise<NetworkPeer> {
  const peer = await networkPeer(network, "f16", { threads: 1 }, "webgpu");
  return { ...peer, variant: "f16", tolerance: 0.001 };
}

async function networkPeer(
  network: Network,
  precision: Precision,
  options: PeerOptions,
  device: "wasm" | "webgpu" = "wasm",
): Promise<NetworkPeer> {
  const { backend, peer } = await start(options, device);
  const model = createModel(network.name, { precision });
  write(model, backend, network);
  return {
    ...peer,
    forward(values, batch) {
      let logits: Float32Array;
      return {
        async run() {
          const start = performance.now();
          using x = backend.upload(values, model.inputShape(batch));
          using y = model.forward(x);
          logits = await y.read();
          return performance.now() - start;
        },
        output: () => Promise.resolve(logits),
      };
    },
  };
}

/** Convolutions as the layers compute them, with Winograd where it is faster. */
export function createConv(options: PeerOptions): Promise<ConvPeer> {
  return convPeer(options);
}

/** Forward passes without Winograd: im2col and one large GEMM. */
export function createDirectConv(options: PeerOptions): Promise<ConvPeer> {
  return convPeer(options, "direct");
}

async function convPeer(options: PeerOptions, variant?: "direct"): Promise<ConvPeer> {
  const { backend, peer } = await start(options);
  return {
    ...peer,
    variant,
    convolve(pass, problem) {
      const { stride, padding, inChannels, outChannels, kernel } = problem.layer;
      const { algorithm } = new Conv2d(inChannels, outChannels, kernel, { stride });
      if (variant && (algorithm === variant || pass !== "forward")) return undefined;
      const options = { stride, padding, algorithm: variant ?? algorithm };
      return resultWork(passes[pass](backend, problem, options), (result) => result.read());
    },
  };
}

/** Uploads the operands of a pass. */
type PreparePass = (
  backend: Backend,
  problem: ConvProblem,
  options: Conv2dOptions & AlgorithmOptions,
) => Computation<Tensor>;

const passes: Readonly<Record<Pass, PreparePass>> = {
  forward(backend, problem, options) {
    const x = backend.upload(problem.x, problem.xShape);
    const weight = backend.upload(problem.weight, problem.weightShape);
    if (options.algorithm === "winograd") {
      return { operands: [x, weight], compute: () => conv2d(x, weight, null, options) };
    }
    const prepared = prepareConv(weight), operands = [x, weight, prepared.packed];
    return { operands, compute: () => conv2d(x, prepared, null, options) };
  },
  dx(backend, { dy: gradient, yShape, weight: filter, weightShape, xShape }, options) {
    const dy = backend.upload(gradient, yShape), weight = backend.upload(filter, weightShape);
    const compute = () => conv2dBackwardInput(dy, weight, xShape, options);
    return { operands: [dy, weight], compute };
  },
  dw(backend, { dy: gradient, yShape, x: input, xShape, weightShape }, options) {
    const dy = backend.upload(gradient, yShape), x = backend.upload(input, xShape);
    const compute = () => conv2dBackwardWeight(dy, x, weightShape, options);
    return { operands: [dy, x], compute };
  },
};

export async function createTraining(
  network: Network,
  options: PeerOptions,
): Promise<TrainingPeer> {
  const { backend, peer } = await start(options);
  const model = createModel(network.name, { dropout: 0, stochasticDepth: 0 }).train();
  return {
    ...peer,
    tolerance: trainingTolerance,
    steps(values, targets, options) {
      write(model, backend, network);
      const optimizer = new SGD(model, options);
      const step = async () => {
        const start = performance.now();
        using x = backend.upload(values, model.inputShape(targets.length));
        optimizer.zeroGrad();
        using logits = model.forward(x);
        using result = crossEntropy(logits, targets);
        model.backwardParameters(result.gradient);
        optimizer.step();
        const [first] = await result.loss.read();
        return { ms: performance.now() - start, loss: first };
      };
      return trainingWork(step, () => optimizer.dispose());
    },
  };
}

async function start(
  { threads }: PeerOptions,
  device: "wasm" | "webgpu" = "wasm",
): Promise<{ backend: Backend; peer: Peer }> {
  const backend = await createBackend({ device, threads });
  const peer = {
    name: device === "wasm" ? "pembroke" : "pembroke-webgpu",
    version: denoJson.version,
    threads: backend.threads,
    dispose: () => backend.dispose(),
  };
  return { backend, peer };
}

/** Writes the initial weights, over the result of any training. */
function write(model: Classifier, backend: Backend, { parameters }: Network): void {
  for (const [name, parameter] of model.stateDict()) {
    if (!parameter.backend) parameter.allocate(backend);
    parameter.write(parameters.get(name)!.values);
  }
}
