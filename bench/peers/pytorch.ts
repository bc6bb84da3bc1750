/**
 * Native PyTorch, in a separate process.
 *
 * @module
 */

import type { Network } from "./network.ts";
import type {
  ConvPeer,
  ConvProblem,
  NetworkPeer,
  Peer,
  PeerOptions,
  TrainingPeer,
} from "./peer.ts";
import { PyTorch } from "./pytorch_process.ts";
import { trainingTolerance, trainingWork } from "./steps.ts";

export async function createNetworkPeer(
  network: Network,
  options: PeerOptions,
): Promise<NetworkPeer> {
  const { torch, peer } = await start(options);
  await load(torch, network);
  return {
    ...peer,
    async forward(x, batch) {
      await torch.tensor("x", [batch, ...network.image], x);
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
  network: Network,
  options: PeerOptions,
): Promise<TrainingPeer> {
  const { torch, peer } = await start(options);
  return {
    ...peer,
    tolerance: trainingTolerance,
    async steps(x, targets, { lr, momentum, weightDecay }) {
      await load(torch, network);
      await torch.tensor("x", [targets.length, ...network.image], x);
      await torch.call("train", { lr, momentum, weight_decay: weightDecay });
      return trainingWork(async () => {
        const { ms } = await torch.call("step", { targets });
        const [loss] = await torch.result();
        return { ms, loss };
      });
    },
  };
}

/** Creates torchvision's network with the initial weights, in place of any other. */
async function load(torch: PyTorch, { name, parameters }: Network): Promise<void> {
  for (const [key, { shape, values }] of parameters) await torch.tensor(key, shape, values);
  await torch.call("load", { name, parameters: [...parameters.keys()] });
}

async function start({ threads }: PeerOptions): Promise<{ torch: PyTorch; peer: Peer }> {
  const torch = new PyTorch(threads);
  const { version, threads: used } = await torch.call("start", { threads });
  const peer = { name: "pytorch", version, threads: used, dispose: () => torch.dispose() };
  return { torch, peer };
}
