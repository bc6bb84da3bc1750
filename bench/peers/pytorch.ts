/**
 * Native PyTorch, in a separate process.
 *
 * @module
 */

import { ALEXNET, IMAGE, PARAMETERS } from "./architecture.ts";
import type {
  AlexNetPeer,
  AlexNetWeights,
  ConvPeer,
  ConvProblem,
  Peer,
  PeerOptions,
  TrainingPeer,
} from "./peer.ts";
import { PyTorch } from "./pytorch_process.ts";
import { trainingWork } from "./steps.ts";

export async function createAlexNet(
  weights: AlexNetWeights,
  options: PeerOptions,
): Promise<AlexNetPeer> {
  const { torch, peer } = await start(options);
  await send(torch, weights);
  return {
    ...peer,
    async forward(x, batch) {
      await torch.tensor("x", [batch, ...IMAGE], x);
      return {
        run: async () => (await torch.call("forward")).ms,
        output: () => torch.result(),
      };
    },
  };
}

export async function createConv(options: PeerOptions): Promise<ConvPeer> {
  const { torch, peer } = await start(options);
  let sent: ConvProblem | undefined;
  return {
    ...peer,
    async convolve(pass, problem) {
      if (problem !== sent) {
        await torch.tensor("x", problem.xShape, problem.x);
        await torch.tensor("weight", problem.weightShape, problem.weight);
        await torch.tensor("dy", problem.yShape, problem.dy);
        sent = problem;
      }
      const { stride, padding } = problem.layer;
      return {
        run: async () => (await torch.call(`conv ${pass}`, { stride, padding })).ms,
        output: () => torch.result(),
      };
    },
  };
}

export async function createTraining(
  weights: AlexNetWeights,
  options: PeerOptions,
): Promise<TrainingPeer> {
  const { torch, peer } = await start(options);
  return {
    ...peer,
    async steps(x, targets, { lr, momentum, weightDecay }) {
      await send(torch, weights);
      await torch.tensor("x", [targets.length, ...IMAGE], x);
      const parameters = PARAMETERS.map(({ name }) => name);
      await torch.call("train", { parameters, lr, momentum, weight_decay: weightDecay });
      return trainingWork(async () => {
        const { ms } = await torch.call("step", { targets });
        const [loss] = await torch.result();
        return { ms, loss };
      });
    },
  };
}

/** Sends the initial weights, over the result of any training. */
async function send(torch: PyTorch, weights: AlexNetWeights): Promise<void> {
  for (const { name, shape } of PARAMETERS) await torch.tensor(name, shape, weights.get(name));
}

async function start({ threads }: PeerOptions): Promise<{ torch: PyTorch; peer: Peer }> {
  const torch = new PyTorch();
  const { version, threads: used } = await torch.call("start", { threads, layers: ALEXNET });
  const peer = { name: "pytorch", version, threads: used, dispose: () => torch.dispose() };
  return { torch, peer };
}
