/**
 * The networks that the recipe trains.
 *
 * @module
 */

import { AlexNetTiny, type Classifier, createModel, foldBatchNorm, saveModel } from "../../mod.ts";
import type { RecipeNetwork } from "./recipe.ts";
import type { SheetClass } from "./sheets.ts";

/** Options of a network to train. */
export interface CreateOptions {
  readonly classes: readonly SheetClass[];
  readonly dropout: number;
}

/** A network to train. */
export interface TrainableNetwork {
  /** The beginning of the names of its files in `weights/`: the model, its card and its measurements. */
  readonly file: string;
  /** Creates the network without values. */
  create(options: CreateOptions): Classifier;
  /** Saves it as the model that ships. */
  save(trained: Classifier, options: Parameters<typeof saveModel>[1]): Promise<Uint8Array>;
}

/** The networks by name. */
export const networks: Readonly<Record<RecipeNetwork, TrainableNetwork>> = {
  "alexnet-tiny": {
    file: "alexnet_tiny",
    create: (options) => new AlexNetTiny({ ...options, batchNorm: true }),
    async save(trained, options) {
      using model = new AlexNetTiny({ classes: trained.classes });
      await foldBatchNorm(trained, model);
      model.temperature = trained.temperature;
      return await saveModel(model, options);
    },
  },
  "resnet-tiny": {
    file: "resnet_tiny",
    create: (options) => createModel("resnet-tiny", options),
    save: saveModel, // it keeps its batch normalisation: a graph folds it when it is loaded
  },
};

/** The preprocessing of the images, which is the same for all networks. */
export const { preprocessing } = new AlexNetTiny();
