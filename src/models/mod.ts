/** Networks: creating, loading, running, summarising and saving them. */

export { AlexNet, type AlexNetLoadOptions, type AlexNetOptions } from "./alexnet.ts";
export * from "./alexnet_tiny.ts";
export { Classifier, type ClassifierOptions } from "./classifier.ts";
export { classNames } from "./class_names.ts";
export type { Prediction } from "./classify.ts";
export type { ClassOptions } from "./network_classes.ts";
export { loadModel, type LoadModelOptions } from "./load_model.ts";
export { type LoadOptions, loadWeights, type WeightsInput } from "./load.ts";
export { type NetworkOptions } from "./network_options.ts";
export { createModel, type NetworkName } from "./registry.ts";
export { saveModel, type SaveModelOptions, saveWeights } from "./save_model.ts";
export * from "./summary.ts";
export type { ClassName } from "./imagenet_classes.ts";
