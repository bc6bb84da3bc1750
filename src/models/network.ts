/**
 * torchvision's networks.
 *
 * @module
 */

import type { Backend } from "../backend/mod.ts";
import { imagenetPreprocessing } from "../image/preprocess.ts";
import { initNames, type InitOptions } from "../layers/layer.ts";
import type { BatchNormOptions } from "../layers/mod.ts";
import { checkOptions } from "../ops/checks.ts";
import { RandomGenerator } from "../random.ts";
import { renameTensors } from "../weights/match_names.ts";
import type { WeightsFile } from "../weights/tensor_file.ts";
import { classNames } from "./class_names.ts";
import { classesOf } from "./network_classes.ts";
import { Classifier } from "./classifier.ts";
import { type InitialValues, redrawn } from "./initial_values.ts";
import { type BuilderOptions, NetworkBuilder } from "./network_builder.ts";
import type { NetworkInfo, NetworkOptions } from "./network_options.ts";

/** A network of torchvision. */
export interface NetworkDefinition extends Partial<Omit<NetworkInfo, "create">> {
  /** Adds the layers, from images to logits. */
  readonly build: (builder: NetworkBuilder) => void;
  /** The default probability of dropout. Default: 0: the network has none. */
  readonly dropout?: number;
  /** The options of batch normalisation. Default: PyTorch's. */
  readonly norm?: BatchNormOptions;
  /** The initial values that torchvision draws after those of the layers. */
  readonly initialValues?: InitialValues;
}

/** Options of the network, and of narrow variants for tests. */
export type InternalOptions = NetworkOptions & Pick<BuilderOptions, "width">;

/** A network with the names, shapes and initial values of torchvision's. */
export class Network extends Classifier {
  /** The name in `torchvision.models`. */
  override readonly type: string;
  readonly #definition: NetworkDefinition;

  /**
   * Creates the network without weights.
   *
   * @throws {ArgumentError} When an option is invalid.
   */
  constructor(
    override readonly network: string,
    definition: NetworkDefinition,
    options: InternalOptions = {},
  ) {
    const classes = classesOf(network, options, 1000, classNames);
    const { dropout = definition.dropout ?? 0 } = options;
    const { preprocessing = definition.preprocessing ?? imagenetPreprocessing } = options;
    const { norm } = definition, { numClasses = classes.length } = options;
    const builder = new NetworkBuilder({ ...options, dropout, numClasses, norm });
    definition.build(builder);
    super(builder.nodes, { preprocessing, classes });
    this.type = network;
    this.#definition = definition;
  }

  /** See {@linkcode Layer.init}. It draws the values that torchvision draws. */
  override init(backend: Backend, options: InitOptions = {}): this {
    checkOptions(this.type, options, initNames);
    const { generator = new RandomGenerator(options.seed ?? 0) } = options;
    super.init(backend, { generator });
    const { initialValues } = this.#definition;
    if (!initialValues) return this;
    try {
      for (const [name, layer] of this.leaves()) {
        for (const [key, fill] of redrawn(layer, name, initialValues)) {
          layer.parameters[key]?.init(backend, generator, fill);
        }
      }
    } catch (error) {
      for (const parameter of this.stateDict().values()) parameter.dispose();
      throw error;
    }
    return this;
  }

  /** See {@linkcode Classifier.mapWeights}. */
  override mapWeights(file: WeightsFile): WeightsFile {
    const { parameterName } = this.#definition;
    return parameterName ? renameTensors(file, parameterName) : file;
  }
}

/** Networks by name. */
type Infos<Name extends string> = { readonly [name in Name]: NetworkInfo };

/**
 * Defines the networks of a family.
 *
 * @param rows What distinguishes them, by name.
 * @param definition Returns the definition for a row.
 */
export function defineNetworks<Name extends string, Row>(
  rows: Readonly<Record<Name, Row>>,
  definition: (row: Row) => NetworkDefinition,
): Infos<Name> {
  const infos = Object.entries<Row>(rows).map(([name, row]): [string, NetworkInfo] => {
    const network = definition(row), { parameterName } = network;
    const { preprocessing = imagenetPreprocessing } = network;
    const create = (options?: NetworkOptions) => new Network(name, network, options);
    return [name, { create, preprocessing, parameterName }];
  });
  return Object.fromEntries(infos) as Infos<Name>;
}
