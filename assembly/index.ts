// What the binary exports. Pointers are byte addresses, sizes count floats; the caller has checked
// every argument (src/ops), so nothing is checked here.

export { adaptiveAvgPool2d, avgPool2d } from "./avg_pool2d";
export { batchNorm } from "./batch_norm";
export { conv2d, conv2dPack, conv2dPackedSize, conv2dScratchSize } from "./conv2d";
export { linear } from "./linear";
export { localResponseNorm } from "./local_response_norm";
export { maxPool2d } from "./max_pool2d";
export { relu } from "./relu";
export { logSoftmax, softmax } from "./softmax";

/** First byte that is free for tensors: behind the kernels' own few hundred bytes. */
export function heapBase(): usize {
  return __heap_base;
}
