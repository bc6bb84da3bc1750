/**
 * The types that the signatures of `mod.ts` name, besides those that it lists itself.
 *
 * @module
 */

export type { BatchNormTensors } from "./src/backend/geometry.ts";
export type { RowStatistics } from "./src/backend/row_kernels.ts";
export type { HeatMap } from "./src/explain/heat_map.ts";
export type { MethodOptions } from "./src/explain/methods.ts";
export type { SaliencyOptions } from "./src/explain/saliency.ts";
export type { AcquireOptions, MemoryBudget, MemoryShare } from "./src/image/memory_budget.ts";
export type { RgbaImage } from "./src/image/pixels.ts";
export type { ChannelLayout, ChannelOrder, PixelRounding, Region } from "./src/image/preprocess.ts";
export type { Interpolation } from "./src/image/resize.ts";
export type { FoldableNorm } from "./src/layers/forward.ts";
export type { GraphOptions } from "./src/layers/graph.ts";
export type { LeafGraph, LeafNode } from "./src/layers/graph_nodes.ts";
export type { BatchNormOptions, BatchNormParameters } from "./src/layers/norm.ts";
export type { PlanePadding } from "./src/layers/pad.ts";
export type { BufferOptions, WeightAndBias } from "./src/layers/parameter.ts";
export type { BiasOptions, PackingOptions, PrecisionOptions } from "./src/layers/precision.ts";
export type { GroupNormOptions, LayerNormOptions } from "./src/layers/row_norm.ts";
export type { Layers } from "./src/layers/sequential.ts";
export type { FreezeOptions } from "./src/layers/training_pass.ts";
export type { AlexNetLoadOptions } from "./src/models/alexnet.ts";
export type { AlexNetTinyOptions } from "./src/models/alexnet_tiny.ts";
export type { ClassifierOptions } from "./src/models/classifier.ts";
export type { LoadOptions } from "./src/models/load.ts";
export type { ClassOptions } from "./src/models/network_classes.ts";
export type { NetworkOptions } from "./src/models/network_options.ts";
export type { SaveModelOptions } from "./src/models/save_model.ts";
export type { LayerSummary, ModelSummary } from "./src/models/summary.ts";
export type { AccumulateOptions, OutOptions } from "./src/ops/checks.ts";
export type { SliceOptions } from "./src/ops/concat.ts";
export type { ConvOptions, Padding1d, Padding2d } from "./src/ops/conv_geometry.ts";
export type { ConvTransposeOptions } from "./src/ops/conv_transpose.ts";
export type { ActivationOptions, FusedActivation, FusedOptions } from "./src/ops/fused.ts";
export type { InterpolateOptions } from "./src/ops/interpolate.ts";
export type { CrossEntropyOptions, LossResult } from "./src/ops/loss.ts";
export type { TransposeOptions } from "./src/ops/matmul.ts";
export type {
  BatchNormBackwardOptions,
  BatchStatistics,
  LocalResponseNormOptions,
} from "./src/ops/norm.ts";
export type { PadMode, PadOptions } from "./src/ops/pad.ts";
export type { PoolOptions } from "./src/ops/pool_geometry.ts";
export type { AverageOptions, MaxPoolResult } from "./src/ops/pool_nd.ts";
export type {
  AlgorithmOptions,
  ConvAlgorithm,
  PreparedConv,
  PrepareOptions,
} from "./src/ops/prepared_conv.ts";
export type { QuantizedLinear } from "./src/ops/quantize.ts";
export type { InputRange, QuantizedConv } from "./src/ops/quantize_conv.ts";
export type { RowNormOptions } from "./src/ops/row_norm.ts";
export type { ArrayType, TensorStorage } from "./src/tensor.ts";
export type { Target } from "./src/train/dataset.ts";
export type { Evaluation, LossBatch, LossFunction } from "./src/train/evaluate.ts";
export type { FitMeasure, FitProgress, FitStep, NamedDataset } from "./src/train/fit_options.ts";
export type { ImageFolderOptions } from "./src/train/image_folder.ts";
export type { OptimizerSettings, Trainable } from "./src/train/optimizer.ts";
export type { Schedule, WarmUpOptions } from "./src/train/schedule.ts";
export type { TrainerState } from "./src/train/trainer.ts";
export type {
  ColorJitterOptions,
  RandomResizedCropOptions,
  Transform,
} from "./src/train/transforms.ts";
export type { DType } from "./src/weights/dtype.ts";
export type { WeightEntry } from "./src/weights/layout.ts";
export type { OpenOptions } from "./src/weights/open.ts";
export type { IntegerSink, WeightsFormat, WeightSink } from "./src/weights/tensor_file.ts";
