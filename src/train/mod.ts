/** Training: optimisers, schedules, the training loop and checkpoints. */

export * from "./adamw.ts";
export * from "./checkpoint.ts";
export * from "./clip.ts";
export * from "./dataset.ts";
export { evaluate, type Evaluation } from "./evaluate.ts";
export * from "./optimizer.ts";
export * from "./schedule.ts";
export * from "./sgd.ts";
export * from "./trainer.ts";
