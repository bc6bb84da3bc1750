// What the binary exports. A kernel takes addresses: outputs first, then inputs, scratch memory, and a
// block of numbers (geometry.ts). The callers in src/ops have checked every argument, so kernels check
// nothing. Gradients are called d…; each kernel's comment says whether it writes or adds.
//
// The language is AssemblyScript: TypeScript's syntax with WebAssembly's types.
//
// - An address, or a distance in bytes, is a usize. A number of elements is an i32. `<< 2` turns floats into
//   bytes. Both types have 32 bits, and wrap: an address below 4 GiB is right even where its factors overflow.
// - A v128 is a vector of four floats, its lanes. v128.load(p, 16) reads the one at p + 16.
// - ASC_FEATURE_RELAXED_SIMD and ASC_FEATURE_THREADS are constants of a build.
//
// To follow one kernel, read conv2d.ts, then columns.ts, gemm.ts and gemm_tiles.ts. Kernels that
// claim items share their work among threads, as threads.ts says.

export { activation, activationBackward } from "./activation";
export { add, mul, prelu, sumProducts } from "./arithmetic";
export {
  adaptiveAvgPool2d, adaptiveAvgPool2dBackward, avgPool2d, avgPool2dBackward,
} from "./avg_pool2d";
export { batchNorm, batchNormBackward, batchNormStatistics, foldBatchNorm } from "./batch_norm";
export { biasBackward } from "./bias";
export {
  conv2d, conv2dBackwardInput, conv2dBackwardScratchSize, conv2dBackwardWeight, conv2dPack,
  conv2dPackedSize, conv2dPackedTransposedSize, conv2dPackTransposed, conv2dScratchSize,
} from "./conv2d";
export { conv2dInt8, conv2dInt8ScratchSize } from "./conv2d_int8";
export {
  conv2dInt8Pack, conv2dInt8PackedSize, conv2dInt8PackIntegers, conv2dInt8Unpack,
} from "./conv2d_int8_weights";
export { stridedCopy } from "./copy";
export {
  depthwise, depthwiseBackwardInput, depthwiseBackwardInputScratchSize, depthwiseScratchSize,
} from "./depthwise";
export { depthwiseBackwardWeight } from "./depthwise_backward";
export { dropout } from "./dropout";
export { linear, linearScratchSize } from "./linear";
export { linearBackwardInput, linearBackwardScratchSize, linearBackwardWeight } from "./linear_backward";
export {
  linearInt8, linearInt8Pack, linearInt8PackedSize, linearInt8PackIntegers, linearInt8ScratchSize,
  linearInt8Unpack,
} from "./linear_int8";
export { localResponseNorm, localResponseNormBackward } from "./local_response_norm";
export { matmul, matmulScratchSize } from "./matmul";
export { adaptiveMaxPool2d, maxIndex, maxPool2d, maxPool2dBackward } from "./max_pool2d";
export { adamwStep, axpby, sgdStep, squaredNorm } from "./optimizer";
export { resample, resampleScratchSize } from "./resample";
export { rowNorm, rowNormBackward } from "./row_norm";
export { crossEntropy, logSoftmax, logSoftmaxBackward, softmax, softmaxBackward } from "./softmax";
export { beginKernel, setThread } from "./threads";
export { winograd, winogradBackwardInput, winogradScratchSize } from "./winograd";
export { winogradBackwardScratchSize, winogradBackwardWeight } from "./winograd_backward";

/** The first byte that is free for tensors, behind the kernels' own 3 kB. */
export function heapBase(): usize {
  return __heap_base;
}
