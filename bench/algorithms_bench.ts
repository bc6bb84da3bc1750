/**
 * The algorithms for the convolutions of the networks, on one thread. Fails if another algorithm is
 * faster than the one that the layer chooses.
 *
 * @module
 */

import {
  type Backend,
  Conv2d,
  createBackend,
  createModel,
  type NetworkName,
  type Tensor,
} from "../mod.ts";
import denoJson from "../deno.json" with { type: "json" };
import type { Conv2dGeometry } from "../src/backend/geometry.ts";
import { kernelsOf } from "../src/backend/interface.ts";
import { isDepthwise, supportsWinograd } from "../src/ops/prepared_conv.ts";
import { type Measurement, ourName, type Task } from "./lib/results.ts";
import { type Entry, measure, seed, type Suite } from "./lib/suite.ts";
import { defaultNetworks } from "./networks_bench.ts";
import { operationsOf } from "./peers/operations.ts";
import type { Work } from "./peers/peer.ts";
import { product, uniform } from "./peers/random.ts";

/** How much longer the chosen algorithm may take than another. */
const margin = 1.1;
/** Times below this are not compared, in milliseconds. */
const minMs = 0.05;
/** A timed run repeats a convolution until it takes about this long, in milliseconds. */
const runMs = 2;
/** A wrong choice must be confirmed in this many times as many rounds. */
const confirmation = 3;

export const algorithms: Suite = {
  programs: [ourName],
  onRequest: true,
  async *run({ options, skipped }) {
    using backend = await createBackend({ device: "wasm", threads: 1 });
    const rounds = options.rounds ?? 9;
    for (const batch of options.batches ?? [1, 8]) {
      const measurements: Measurement[] = [];
      for (const g of shapesOf(options.networks ?? defaultNetworks, batch)) {
        const label = `batch ${batch}, ${nameOf(g)}`;
        const run = (rounds: number) => measure(entriesOf(backend, g), { label, rounds, skipped });
        const results = await run(rounds);
        measurements.push(...results.some(isWrong) ? await run(confirmation * rounds) : results);
      }
      yield measurements;
    }
  },
  problems: (measurements) =>
    measurements.filter(isWrong).map(({ task, results: [chosen, ...others] }) => {
      const times = others.map(({ program, ms }) => `${program} ${ms?.median.toFixed(2)} ms`);
      return `${task.section}, ${task.name}: the layer chooses ${chosen.variant}, ` +
        `${chosen.ms?.median.toFixed(2)} ms; ${times.join(", ")}`;
    }),
};

/**
 * Whether the chosen algorithm, which is the first, takes longer than another: in the median, and in
 * the fastest run, because other load on the machine slows single runs.
 */
function isWrong({ results: [chosen, ...others] }: Measurement): boolean {
  const ms = chosen.ms;
  return ms !== null && ms.median >= minMs &&
    others.some((other) =>
      other.ms !== null && ms.median > margin * other.ms.median && ms.min > margin * other.ms.min
    );
}

/** The convolutions of the networks for which there is a choice, each once. */
function shapesOf(networks: readonly NetworkName[], batch: number): Conv2dGeometry[] {
  const shapes = new Map<string, Conv2dGeometry>();
  for (const name of networks) {
    const model = createModel(name);
    for (const operation of operationsOf(model, model.inputShape(batch))) {
      if (operation.op !== "conv") continue;
      const { g } = operation;
      if (algorithmsOf(g).length > 1) shapes.set(JSON.stringify(g), g);
    }
  }
  return [...shapes.values()];
}

/** The algorithms that compute a convolution. */
function algorithmsOf(g: Conv2dGeometry): string[] {
  const shape = weightShape(g);
  if (isDepthwise(shape, g.groups)) return ["depthwise", "direct"];
  const { strideH, strideW, dilationH, dilationW } = g;
  return supportsWinograd(shape, [strideH, strideW], [dilationH, dilationW])
    ? ["direct", "winograd"]
    : ["direct"];
}

/** The layer's own choice, which comes first, and every other algorithm. */
function entriesOf(backend: Backend, g: Conv2dGeometry): Entry[] {
  const task: Task = {
    section: `Algorithms, batch ${g.n}`,
    name: nameOf(g),
    flops: 2 * g.n * g.oh * g.ow * product(weightShape(g)),
  };
  const chosen = chosenFor(g);
  const others = algorithmsOf(g).filter((algorithm) => algorithm !== chosen);
  return [
    {
      task,
      peer: { ...ownPeer, name: ourName, variant: chosen },
      work: workOf(backend, g, chosen),
    },
    ...others.map((name) => {
      return { task, peer: { ...ownPeer, name }, work: workOf(backend, g, name) };
    }),
  ];
}

const ownPeer = { version: denoJson.version, threads: 1, dispose() {} };

/** The algorithm that the layer chooses. */
function chosenFor(g: Conv2dGeometry): string {
  return isDepthwise(weightShape(g), g.groups) ? "depthwise" : layerOf(g).algorithm;
}

/** A convolution by an algorithm. */
function workOf(backend: Backend, g: Conv2dGeometry, algorithm: string): Work {
  const shape = [g.n, g.inC, g.h, g.w];
  const x = backend.upload(uniform(product(shape), 2, seed), shape);
  const { compute, dispose } = isDepthwise(weightShape(g), g.groups) && algorithm === "direct"
    ? directDepthwise(backend, g, x)
    : layer(backend, g, x, algorithm);
  const y = backend.empty([g.n, g.outC, g.oh, g.ow]);
  let times = 0;
  const run = (times: number) => {
    const start = performance.now();
    for (let i = 0; i < times; i++) compute(y);
    return performance.now() - start;
  };
  return {
    run() {
      if (times === 0) {
        run(1); // prepares the weights
        times = Math.ceil(runMs / run(1));
      }
      return Promise.resolve(run(times) / times);
    },
    output: () => y.read(),
    dispose() {
      dispose();
      x.dispose();
      y.dispose();
    },
  };
}

/** Computes a convolution into y. */
interface Computation {
  readonly compute: (y: Tensor) => void;
  readonly dispose: () => void;
}

/** A layer with an algorithm. */
function layer(backend: Backend, g: Conv2dGeometry, x: Tensor, algorithm: string): Computation {
  const layer = layerOf(g, algorithm === "winograd" ? "winograd" : "direct");
  layer.init(backend, { seed }).eval();
  return { compute: (out) => layer.forward(x, { out }), dispose: () => layer.dispose() };
}

function layerOf(g: Conv2dGeometry, algorithm?: "direct" | "winograd"): Conv2d {
  return new Conv2d(g.inC, g.outC, [g.kh, g.kw], {
    stride: [g.strideH, g.strideW],
    padding: [g.top, g.left, g.bottom, g.right],
    dilation: [g.dilationH, g.dilationW],
    groups: g.groups,
    bias: false,
    algorithm,
  });
}

/** A depthwise convolution by the kernel for all others, which no layer uses for it. */
function directDepthwise(backend: Backend, g: Conv2dGeometry, x: Tensor): Computation {
  const kernels = kernelsOf(backend), depthwise = layerOf(g).init(backend, { seed });
  const packed = kernels.packConv2d(depthwise.parameters.weight.tensor!, g.groups);
  depthwise.dispose();
  const epilogue = { residual: null, activation: "none" } as const;
  return {
    compute: (y) => kernels.conv2d(y, x, packed, null, g, epilogue),
    dispose: () => packed.dispose(),
  };
}

function weightShape({ outC, inC, groups, kh, kw }: Conv2dGeometry): number[] {
  return [outC, inC / groups, kh, kw];
}

function nameOf(g: Conv2dGeometry): string {
  const parts = [
    `${g.inC}→${g.outC}`,
    `${g.kh}×${g.kw}`,
    ...(g.strideH > 1 ? [`stride ${g.strideH}`] : []),
    `${g.h}×${g.w}`,
  ];
  return parts.join(", ");
}
