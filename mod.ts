/**
 * Runs and trains convolutional networks in Deno, Node, browsers and edge runtimes. The kernels are
 * AssemblyScript compiled to SIMD WebAssembly, or WebGPU shaders. Layers, networks and training
 * build on them.
 *
 * To classify photos, start with {@linkcode loadModel}; to build a network, with {@linkcode Graph}
 * and {@linkcode createModel}; to train it, with {@linkcode Trainer}; to learn classes from a few
 * photos, with {@linkcode fit}.
 *
 * Operations are functions on tensors, as in `torch.nn.functional`. Layers hold their parameters,
 * as in `torch.nn`. Names are PyTorch's; options are in camelCase.
 *
 * Shapes are [N, C, H, W]: samples, channels, rows, columns; or [N, C, L] for signals. Weights of
 * convolutions are [O, I, kH, kW]: output channels, input channels, rows and columns of the kernel.
 * oH and oW are sizes of an output. dx is the gradient of the loss with respect to x.
 *
 * Operations write to the tensor `out`, or to a new one. Gradients of parameters are added to the
 * tensor `into`, or to zeros. You own the tensors that a function returns: declare them with `using`,
 * or call `dispose()`. An object or a list of several tensors can be declared with `using`, too.
 *
 * @example A layer
 * ```ts
 * import { Conv2d, createBackend } from "./mod.ts";
 *
 * using backend = await createBackend();
 * using conv = new Conv2d(3, 8, 3, { padding: 1 }).init(backend, { seed: 1 });
 * using x = backend.upload(new Float32Array(3 * 5 * 5), [1, 3, 5, 5]);
 * using y = conv.forward(x);
 * console.log(y.shape, await y.read());
 * ```
 *
 * @example A photo
 * ```ts
 * import { decodeImage, loadModel } from "./mod.ts";
 *
 * using model = await loadModel();
 * const image = await decodeImage(await Deno.readFile("tests/photos/coffee.jpg"));
 * const [best] = await model.classify(image);
 * console.log(best.label); // espresso
 * ```
 *
 * @module
 */

// Backends and tensors
export { type BackendOptions, createBackend } from "./src/backend/mod.ts";
export { type Backend, type Shape, Tensor, type Values } from "./src/tensor.ts";
export {
  ArgumentError,
  DeviceLostError,
  FileError,
  PembrokeError,
  TooLargeError,
} from "./src/errors.ts";
export { RandomGenerator } from "./src/random.ts";

// Operations
export {
  elu,
  gelu,
  hardsigmoid,
  hardswish,
  hardtanh,
  leakyRelu,
  relu,
  relu6,
  sigmoid,
  silu,
  softplus,
  tanh,
} from "./src/ops/activation.ts";
export { reluBackward } from "./src/ops/activation_backward.ts";
export { add, mul } from "./src/ops/arithmetic.ts";
export { cat, slice } from "./src/ops/concat.ts";
export { conv1d, conv2d } from "./src/ops/conv.ts";
export { conv1dMatrix } from "./src/ops/conv1d_matrix.ts";
export {
  biasBackward,
  conv1dBackwardInput,
  conv1dBackwardWeight,
  conv2dBackwardInput,
  conv2dBackwardWeight,
} from "./src/ops/conv_backward.ts";
export type { Conv1dOptions, Conv2dOptions } from "./src/ops/conv_geometry.ts";
export { convTranspose1d, convTranspose2d } from "./src/ops/conv_transpose.ts";
export { dropout } from "./src/ops/dropout.ts";
export { interpolate } from "./src/ops/interpolate.ts";
export { linear, linearBackwardInput, linearBackwardWeight } from "./src/ops/linear.ts";
export { bceWithLogits, crossEntropy, mseLoss } from "./src/ops/loss.ts";
export { matmul } from "./src/ops/matmul.ts";
export {
  batchNorm,
  batchNormBackward,
  batchNormStatistics,
  localResponseNorm,
  localResponseNormBackward,
} from "./src/ops/norm.ts";
export { pad } from "./src/ops/pad.ts";
export { channelShuffle, permute } from "./src/ops/permute.ts";
export {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPoolBackward,
  adaptiveMaxPool2d,
  avgPool1d,
  avgPool1dBackward,
  avgPool2d,
  avgPool2dBackward,
  maxPool1d,
  maxPool1dWithIndices,
  maxPool2d,
  maxPool2dWithIndices,
  maxPoolBackward,
} from "./src/ops/pool.ts";
export type { Pool1dOptions, Pool2dOptions } from "./src/ops/pool_geometry.ts";
export { prelu } from "./src/ops/prelu.ts";
export { logSoftmax, logSoftmaxBackward, softmax, softmaxBackward } from "./src/ops/softmax.ts";
export { groupNorm, layerNorm } from "./src/ops/row_norm.ts";

// Layers
export {
  ELU,
  GELU,
  Hardsigmoid,
  Hardswish,
  Hardtanh,
  LeakyReLU,
  ReLU,
  ReLU6,
  Sigmoid,
  SiLU,
  Softplus,
  Tanh,
} from "./src/layers/activation.ts";
export { Concat, Slice } from "./src/layers/concat.ts";
export { Conv2d } from "./src/layers/conv.ts";
export { Conv1d } from "./src/layers/conv1d.ts";
export { ConvTranspose1d, ConvTranspose2d } from "./src/layers/conv_transpose.ts";
export { Dropout } from "./src/layers/dropout.ts";
export { foldBatchNorm } from "./src/layers/fold.ts";
export { Graph } from "./src/layers/graph.ts";
export type { GraphNode } from "./src/layers/graph_builder.ts";
export { type ForwardOptions, type InitOptions, Layer } from "./src/layers/layer.ts";
export { Parameter } from "./src/layers/parameter.ts";
export { Linear } from "./src/layers/linear.ts";
export { MatMul } from "./src/layers/matmul.ts";
export { Add, Mul } from "./src/layers/merge.ts";
export { MergeLayer } from "./src/layers/merge_layer.ts";
export { BatchNorm1d, BatchNorm2d, LocalResponseNorm } from "./src/layers/norm.ts";
export { ConstantPad2d, ReflectionPad2d, ReplicationPad2d, ZeroPad2d } from "./src/layers/pad.ts";
export { ChannelShuffle, Permute } from "./src/layers/permute.ts";
export {
  AdaptiveAvgPool1d,
  AdaptiveAvgPool2d,
  AdaptiveMaxPool2d,
  AvgPool1d,
  AvgPool2d,
  MaxPool1d,
  MaxPool2d,
} from "./src/layers/pool.ts";
export type { Precision } from "./src/layers/precision.ts";
export { PReLU } from "./src/layers/prelu.ts";
export { GroupNorm, LayerNorm } from "./src/layers/row_norm.ts";
export { Sequential } from "./src/layers/sequential.ts";
export { LogSoftmax, Softmax } from "./src/layers/softmax.ts";
export { Upsample } from "./src/layers/upsample.ts";
export { Flatten, Identity, Reshape, Unflatten } from "./src/layers/view.ts";

// Networks
export { AlexNet, type AlexNetOptions } from "./src/models/alexnet.ts";
export { AlexNetTiny } from "./src/models/alexnet_tiny.ts";
export { Classifier } from "./src/models/classifier.ts";
export type { Prediction } from "./src/models/classify.ts";
export type { ClassName } from "./src/models/imagenet_classes.ts";
export { loadWeights, type WeightsInput } from "./src/models/load.ts";
export { loadModel, type LoadModelOptions } from "./src/models/load_model.ts";
export { OnnxNetwork } from "./src/models/onnx/network.ts";
export { createModel, type NetworkName } from "./src/models/registry.ts";
export { saveModel, saveWeights } from "./src/models/save_model.ts";
export { summarize } from "./src/models/summary.ts";

// Explanations
export { drawHeatMap } from "./src/explain/draw.ts";
export { explain, type ExplainOptions, type Explanation } from "./src/explain/explain.ts";

// Images
export {
  type CodecModules,
  decodeImage,
  type DecodeOptions,
  type Decoder,
} from "./src/image/decode.ts";
export { encodePng } from "./src/image/encode_png.ts";
export { fromRgba, type RgbImage } from "./src/image/pixels.ts";
export {
  caffePreprocessing,
  imagenetPreprocessing,
  preprocess,
  type Preprocessing,
} from "./src/image/preprocess.ts";

// Training
export { AdamW, type AdamWOptions } from "./src/train/adamw.ts";
export { loadCheckpoint, saveCheckpoint } from "./src/train/checkpoint.ts";
export { clipGradNorm } from "./src/train/clip.ts";
export { arrayDataset, type Dataset } from "./src/train/dataset.ts";
export { evaluate } from "./src/train/evaluate.ts";
export { fit, type FitOptions, type FitResult } from "./src/train/fit.ts";
export { type ImageFile, ImageFolder, readImageFolder } from "./src/train/image_folder.ts";
export { Optimizer } from "./src/train/optimizer.ts";
export { cosineSchedule, stepSchedule } from "./src/train/schedule.ts";
export { SGD, type SGDOptions } from "./src/train/sgd.ts";
export { colorJitter, randomHorizontalFlip, randomResizedCrop } from "./src/train/transforms.ts";
export { type Progress, Trainer, type TrainerOptions } from "./src/train/trainer.ts";

// Files of weights
export { fileSource } from "./src/weights/io/file_source.ts";
export type { TensorToWrite } from "./src/weights/io/file_writer.ts";
export { type ByteSource, bytesSource } from "./src/weights/io/source.ts";
export { writeOnnx } from "./src/weights/onnx/writer.ts";
export { openWeights } from "./src/weights/open.ts";
export { writePth } from "./src/weights/pth/writer.ts";
export { writeSafetensors } from "./src/weights/safetensors/writer.ts";
export type { WeightsFile } from "./src/weights/tensor_file.ts";

// Types that the signatures of all these name
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
