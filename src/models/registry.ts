/**
 * All networks by name. Nothing else maps names to networks.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { imagenetPreprocessing, tinyImagenetPreprocessing } from "../image/preprocess.ts";
import { checkOptions } from "../ops/checks.ts";
import { AlexNet } from "./alexnet.ts";
import { AlexNetTiny } from "./alexnet_tiny.ts";
import { BvlcAlexNet, caffe227Preprocessing } from "./bvlc_alexnet.ts";
import type { Classifier } from "./classifier.ts";
import { densenets } from "./densenet.ts";
import { efficientnets } from "./efficientnet.ts";
import { googlenets } from "./googlenet.ts";
import { mnasnets } from "./mnasnet.ts";
import { mobilenetsV2 } from "./mobilenet_v2.ts";
import { mobilenetsV3 } from "./mobilenet_v3.ts";
import { networkOptionNames } from "./network_classes.ts";
import type { NetworkInfo, NetworkOptions } from "./network_options.ts";
import { resnets } from "./resnet.ts";
import { ResNetTiny } from "./resnet_tiny.ts";
import { shufflenetsV2 } from "./shufflenet_v2.ts";
import { squeezenets } from "./squeezenet.ts";
import { vggs } from "./vgg.ts";

/** The name of a network: torchvision's, where torchvision has it. */
export type NetworkName =
  | "alexnet"
  | "alexnet-tiny"
  | "resnet-tiny"
  | "bvlc_alexnet"
  | "vgg11"
  | "vgg11_bn"
  | "vgg13"
  | "vgg13_bn"
  | "vgg16"
  | "vgg16_bn"
  | "vgg19"
  | "vgg19_bn"
  | "squeezenet1_0"
  | "squeezenet1_1"
  | "resnet18"
  | "resnet34"
  | "resnet50"
  | "resnet101"
  | "resnet152"
  | "resnext50_32x4d"
  | "wide_resnet50_2"
  | "densenet121"
  | "densenet161"
  | "densenet169"
  | "densenet201"
  | "googlenet"
  | "mobilenet_v2"
  | "mobilenet_v3_large"
  | "mobilenet_v3_small"
  | "shufflenet_v2_x0_5"
  | "shufflenet_v2_x1_0"
  | "mnasnet0_5"
  | "mnasnet1_0"
  | "efficientnet_b0"
  | "efficientnet_b1"
  | "efficientnet_b2"
  | "efficientnet_b3";

/** All networks by name. As a pure call, bundlers can drop it. */
function defineAll(): Readonly<Record<NetworkName, NetworkInfo>> {
  return {
    "alexnet": {
      create: (options) => new AlexNet(options),
      preprocessing: imagenetPreprocessing,
    },
    "alexnet-tiny": {
      create: (options) => new AlexNetTiny(options),
      preprocessing: tinyImagenetPreprocessing,
    },
    "resnet-tiny": {
      create: (options) => new ResNetTiny(options),
      preprocessing: tinyImagenetPreprocessing,
    },
    "bvlc_alexnet": {
      create: (options) => new BvlcAlexNet(options),
      preprocessing: caffe227Preprocessing,
    },
    ...vggs,
    ...squeezenets,
    ...resnets,
    ...densenets,
    ...googlenets,
    ...mobilenetsV2,
    ...mobilenetsV3,
    ...shufflenetsV2,
    ...mnasnets,
    ...efficientnets,
  };
}
const table = /* @__PURE__ */ defineAll();

/** All networks, to look up a name. */
export const networks: ReadonlyMap<string, NetworkInfo> = /* @__PURE__ */ new Map(
  /* @__PURE__ */ Object.entries(table),
);

/** The names of all networks. */
export const networkNames: readonly NetworkName[] = /* @__PURE__ */ Object.keys(
  table,
) as NetworkName[];

/** Whether there is a network with this name. */
export function isNetworkName(name: unknown): name is NetworkName {
  return networkNames.some((known) => known === name);
}

/**
 * Creates a network by name, without weights: call {@linkcode Layer.init} or load weights.
 *
 * `init()` draws the values that torchvision draws after `torch.manual_seed(seed)`, up to 10⁻⁶.
 * GoogLeNet is `googlenet(aux_logits=False)`: it has no classifiers in the middle. Its
 * preprocessing includes torchvision's `transform_input`.
 *
 * @param name The name in `torchvision.models`, such as "resnet18", or "alexnet-tiny" or
 * "resnet-tiny", which are for images of 64×64.
 * @param options `numClasses` or `classes`; `preprocessing`; `dropout` and `stochasticDepth` in
 * training; `precision`, `algorithm` and `keepPacked` of the layers. All have defaults.
 * @throws {ArgumentError} When there is no such network, or an option is invalid.
 *
 * @example
 * ```ts
 * import { createModel } from "./registry.ts";
 *
 * using model = createModel("resnet18", { numClasses: 2 });
 * console.log(model.outputShape(model.inputShape())); // [1, 2]
 * ```
 */
export function createModel(name: NetworkName, options: NetworkOptions = {}): Classifier {
  const { create } = networkInfo("createModel", "name", name);
  checkOptions("createModel", options, networkOptionNames);
  return create(options);
}

/**
 * Returns what is known of a network.
 *
 * @throws {ArgumentError} When there is no such network. The message has the other arguments.
 */
export function networkInfo(op: string, parameter: string, name: string): NetworkInfo {
  const info = networks.get(name);
  if (info) return info;
  const similar = similarNames(name, networkNames);
  const expected = similar.length > 0
    ? `a name in docs/networks.md, such as ${similar.join(", ")}`
    : `one of ${networkNames.join(", ")}`;
  throw new ArgumentError(op, parameter, name, expected);
}

/**
 * The names that somebody may have meant: with the same letters and digits, or else with the most of
 * the first ones.
 */
export function similarNames(name: unknown, names: readonly string[]): string[] {
  const plain = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, "");
  let start = typeof name === "string" ? plain(name).slice(0, 40) : "";
  const same = names.filter((known) => plain(known) === start);
  if (same.length > 0) return same;
  for (; start.length > 2; start = start.slice(0, -1)) {
    const found = names.filter((known) => plain(known).includes(start));
    if (found.length > 0) return found;
  }
  return [];
}
