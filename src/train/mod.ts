/**
 * Training: optimisers, schedules, the training loop and checkpoints.
 *
 * @module
 */

export * from "./adamw.ts";
export * from "./checkpoint.ts";
export * from "./clip.ts";
export * from "./dataset.ts";
export { evaluate, type Evaluation } from "./evaluate.ts";
export { fit, type FitOptions, type FitProgress, type FitResult } from "./fit.ts";
export {
  type ImageFile,
  ImageFolder,
  type ImageFolderOptions,
  readImageFolder,
} from "./image_folder.ts";
export * from "./optimizer.ts";
export * from "./schedule.ts";
export * from "./sgd.ts";
export * from "./trainer.ts";
export { colorJitter, randomHorizontalFlip, randomResizedCrop } from "./transforms.ts";
