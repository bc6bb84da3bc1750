// Made by `deno task build` from assembly/.

/** What the binaries export. */
export const kernels = [
  "activation",
  "activationBackward",
  "adamwStep",
  "adaptiveAvgPool2d",
  "adaptiveAvgPool2dBackward",
  "adaptiveMaxPool2d",
  "add",
  "avgPool2d",
  "avgPool2dBackward",
  "axpby",
  "batchNorm",
  "batchNormBackward",
  "batchNormStatistics",
  "beginKernel",
  "biasBackward",
  "conv2d",
  "conv2dBackwardInput",
  "conv2dBackwardScratchSize",
  "conv2dBackwardWeight",
  "conv2dInt8",
  "conv2dInt8Pack",
  "conv2dInt8PackIntegers",
  "conv2dInt8PackedSize",
  "conv2dInt8ScratchSize",
  "conv2dInt8Unpack",
  "conv2dPack",
  "conv2dPackTransposed",
  "conv2dPackedSize",
  "conv2dPackedTransposedSize",
  "conv2dScratchSize",
  "crossEntropy",
  "depthwise",
  "depthwiseBackwardInput",
  "depthwiseBackwardInputScratchSize",
  "depthwiseBackwardWeight",
  "depthwiseScratchSize",
  "dropout",
  "foldBatchNorm",
  "heapBase",
  "linear",
  "linearBackwardInput",
  "linearBackwardScratchSize",
  "linearBackwardWeight",
  "linearInt8",
  "linearInt8Pack",
  "linearInt8PackIntegers",
  "linearInt8PackedSize",
  "linearInt8ScratchSize",
  "linearInt8Unpack",
  "linearScratchSize",
  "localResponseNorm",
  "localResponseNormBackward",
  "logSoftmax",
  "logSoftmaxBackward",
  "matmul",
  "matmulScratchSize",
  "maxIndex",
  "maxPool2d",
  "maxPool2dBackward",
  "mul",
  "prelu",
  "resample",
  "resampleScratchSize",
  "rowNorm",
  "rowNormBackward",
  "setThread",
  "sgdStep",
  "softmax",
  "softmaxBackward",
  "squaredNorm",
  "stridedCopy",
  "sumProducts",
  "winograd",
  "winogradBackwardInput",
  "winogradBackwardScratchSize",
  "winogradBackwardWeight",
  "winogradScratchSize",
] as const;

/** The kernels that hand out their work to threads. */
export const sharedKernels = [
  "activation",
  "activationBackward",
  "adamwStep",
  "adaptiveAvgPool2d",
  "adaptiveAvgPool2dBackward",
  "adaptiveMaxPool2d",
  "add",
  "avgPool2d",
  "avgPool2dBackward",
  "batchNorm",
  "batchNormBackward",
  "batchNormStatistics",
  "biasBackward",
  "conv2d",
  "conv2dBackwardInput",
  "conv2dBackwardWeight",
  "conv2dInt8",
  "depthwise",
  "depthwiseBackwardInput",
  "depthwiseBackwardWeight",
  "dropout",
  "linear",
  "linearBackwardInput",
  "linearBackwardWeight",
  "linearInt8",
  "linearInt8Pack",
  "linearInt8Unpack",
  "localResponseNorm",
  "localResponseNormBackward",
  "logSoftmax",
  "logSoftmaxBackward",
  "matmul",
  "maxPool2d",
  "maxPool2dBackward",
  "mul",
  "prelu",
  "resample",
  "rowNorm",
  "rowNormBackward",
  "sgdStep",
  "softmax",
  "softmaxBackward",
  "stridedCopy",
  "sumProducts",
  "winograd",
  "winogradBackwardInput",
  "winogradBackwardWeight",
] as const;

/** The most parameters that an exported function may have. */
export const maxArguments = 8;

/** The functions of an instance. Tensors, scratch memory and blocks are addresses. */
export interface Exports {
  activation(y: number, x: number, n: number, kind: number, a: number, b: number): void;
  activationBackward(dx: number, dy: number, saved: number, n: number, kind: number, a: number, b: number): void;
  adamwStep(w: number, dw: number, m: number, v: number, n: number, step: number): void;
  adaptiveAvgPool2d(y: number, x: number, g: number): void;
  adaptiveAvgPool2dBackward(dx: number, dy: number, g: number): void;
  adaptiveMaxPool2d(y: number, indices: number, x: number, g: number): void;
  add(y: number, a: number, b: number, g: number, alpha: number): void;
  avgPool2d(y: number, x: number, g: number, countIncludePad: number, divisor: number): void;
  avgPool2dBackward(dx: number, dy: number, g: number, countIncludePad: number, divisor: number): void;
  axpby(y: number, x: number, n: number, a: number, b: number): void;
  batchNorm(y: number, x: number, mean: number, variance: number, weight: number, bias: number, g: number): void;
  batchNormBackward(dx: number, dweight: number, dbias: number, dy: number, x: number, g: number): void;
  batchNormStatistics(mean: number, variance: number, x: number, g: number): void;
  beginKernel(): void;
  biasBackward(db: number, dy: number, g: number): void;
  conv2d(y: number, x: number, packed: number, bias: number, scratch: number, g: number): void;
  conv2dBackwardInput(dx: number, dy: number, packed: number, scratch: number, g: number): void;
  conv2dBackwardScratchSize(g: number): number;
  conv2dBackwardWeight(dw: number, dy: number, x: number, scratch: number, g: number): void;
  conv2dInt8(y: number, x: number, packed: number, scales: number, bias: number, scratch: number, g: number): void;
  conv2dInt8Pack(packed: number, scales: number, w: number, g: number): void;
  conv2dInt8PackIntegers(packed: number, scales: number, w: number, g: number): void;
  conv2dInt8PackedSize(g: number): number;
  conv2dInt8ScratchSize(g: number): number;
  conv2dInt8Unpack(w: number, packed: number, g: number): void;
  conv2dPack(packed: number, w: number, g: number): void;
  conv2dPackTransposed(packed: number, w: number, g: number): void;
  conv2dPackedSize(g: number): number;
  conv2dPackedTransposedSize(g: number): number;
  conv2dScratchSize(g: number): number;
  crossEntropy(loss: number, dx: number, x: number, targets: number, g: number): void;
  depthwise(y: number, x: number, weight: number, bias: number, scratch: number, g: number): void;
  depthwiseBackwardInput(dx: number, dy: number, weight: number, scratch: number, g: number): void;
  depthwiseBackwardInputScratchSize(g: number): number;
  depthwiseBackwardWeight(dw: number, dy: number, x: number, scratch: number, g: number): void;
  depthwiseScratchSize(g: number): number;
  dropout(y: number, x: number, n: number, mask: number): void;
  foldBatchNorm(filters: number, biases: number, w: number, b: number, g: number): void;
  heapBase(): number;
  linear(y: number, x: number, w: number, bias: number, scratch: number, g: number, activation: number): void;
  linearBackwardInput(dx: number, dy: number, w: number, g: number): void;
  linearBackwardScratchSize(g: number): number;
  linearBackwardWeight(dw: number, dy: number, x: number, scratch: number, g: number): void;
  linearInt8(y: number, x: number, packed: number, scales: number, bias: number, scratch: number, g: number, activation: number): void;
  linearInt8Pack(packed: number, scales: number, w: number, g: number): void;
  linearInt8PackIntegers(packed: number, w: number, g: number, first: number): void;
  linearInt8PackedSize(g: number): number;
  linearInt8ScratchSize(g: number): number;
  linearInt8Unpack(w: number, packed: number, g: number): void;
  linearScratchSize(g: number): number;
  localResponseNorm(y: number, x: number, g: number): void;
  localResponseNormBackward(dx: number, dy: number, x: number, scratch: number, g: number): void;
  logSoftmax(y: number, x: number, g: number): void;
  logSoftmaxBackward(dx: number, dy: number, y: number, g: number): void;
  matmul(y: number, a: number, b: number, bias: number, scratch: number, g: number, activation: number): void;
  matmulScratchSize(g: number): number;
  maxIndex(indices: number, n: number): number;
  maxPool2d(y: number, indices: number, x: number, g: number): void;
  maxPool2dBackward(dx: number, dy: number, indices: number, g: number): void;
  mul(y: number, a: number, b: number, g: number): void;
  prelu(y: number, a: number, b: number, x: number, g: number): void;
  resample(y: number, x: number, rows: number, columns: number, scratch: number, g: number): void;
  resampleScratchSize(g: number): number;
  rowNorm(y: number, mean: number, rstd: number, x: number, weight: number, bias: number, g: number): void;
  rowNormBackward(dx: number, dweight: number, dbias: number, dy: number, x: number, g: number): void;
  setThread(number: number, count: number, shared: number, ownMemory: number, sleeps: number): void;
  sgdStep(w: number, dw: number, v: number, n: number, step: number): void;
  softmax(y: number, x: number, g: number): void;
  softmaxBackward(dx: number, dy: number, y: number, g: number): void;
  squaredNorm(x: number, n: number): number;
  stridedCopy(y: number, x: number, g: number): void;
  sumProducts(db: number, dy: number, a: number, g: number, most: number): void;
  winograd(y: number, x: number, weight: number, bias: number, scratch: number, g: number): void;
  winogradBackwardInput(dx: number, dy: number, weight: number, scratch: number, g: number): void;
  winogradBackwardScratchSize(g: number): number;
  winogradBackwardWeight(dw: number, dy: number, x: number, scratch: number, g: number): void;
  winogradScratchSize(g: number): number;
}
