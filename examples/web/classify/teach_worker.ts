/** Computes the calls of "Teach it", in the worker. */

import { currentClassifier, imageOf } from "./engine.ts";
import type { Handlers } from "./protocol.ts";
import type { BaseSource, TeachCalls } from "./teach_protocol.ts";

/** The network to start from. */
let network: BaseSource | undefined;

/** Loads the rest, which the first result does not need. */
const training = () => import("./teach_training.ts");

export const teachHandlers: Handlers<TeachCalls> = {
  teachFrom: (source) => {
    network = source;
  },

  teachPrepare: async () => {
    await training();
  },

  teachKeep: async (photo) => (await training()).keepPhoto(photo, network),

  teachForget: async (keys) => (await training()).forgetAll(keys),

  teachLearn: async (classes, context) => {
    if (!network) throw new Error("There is no network yet: wait until it is loaded.");
    return (await training()).learn(classes, network, context);
  },

  teachTry: async (photo) => {
    const guesses = await currentClassifier().classify(await imageOf(photo), { topK: 5 });
    return guesses.map(({ label, probability }) => ({ label, probability }));
  },
};
