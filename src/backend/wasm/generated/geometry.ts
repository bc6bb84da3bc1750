// Made by `deno task build` from assembly/geometry.ts and assembly/training_geometry.ts and assembly/codes.ts.

type Integers = Int32Array<ArrayBufferLike>;
type Floats = Float32Array<ArrayBufferLike>;

/** Bytes of the largest block. */
export const blockBytes = 96;

/** Planes that become planes of another size. */
export interface PlaneGeometry {
  /** Samples. */
  readonly n: number;
  /** Height of the input. */
  readonly h: number;
  /** Width of the input. */
  readonly w: number;
  /** Height of the output. */
  readonly oh: number;
  /** Width of the output. */
  readonly ow: number;
}

/** Writes a {@linkcode PlaneGeometry}. */
export function writePlane(integers: Integers, _floats: Floats, g: PlaneGeometry): void {
  integers[0] = g.n;
  integers[1] = g.h;
  integers[2] = g.w;
  integers[3] = g.oh;
  integers[4] = g.ow;
}

/** Windows that move over padded planes. */
export interface WindowGeometry extends PlaneGeometry {
  /** Height of the kernel. */
  readonly kh: number;
  /** Width of the kernel. */
  readonly kw: number;
  /** Step between rows of windows. */
  readonly strideH: number;
  /** Step between columns of windows. */
  readonly strideW: number;
  /** Padding above. */
  readonly top: number;
  /** Padding to the left. */
  readonly left: number;
  /** Padding below. */
  readonly bottom: number;
  /** Padding to the right. */
  readonly right: number;
  /** Distance between taps of the kernel in a column. */
  readonly dilationH: number;
  /** Distance between taps of the kernel in a row. */
  readonly dilationW: number;
}

/** Writes a {@linkcode WindowGeometry}. */
export function writeWindow(integers: Integers, _floats: Floats, g: WindowGeometry): void {
  integers[0] = g.n;
  integers[1] = g.h;
  integers[2] = g.w;
  integers[3] = g.oh;
  integers[4] = g.ow;
  integers[5] = g.kh;
  integers[6] = g.kw;
  integers[7] = g.strideH;
  integers[8] = g.strideW;
  integers[9] = g.top;
  integers[10] = g.left;
  integers[11] = g.bottom;
  integers[12] = g.right;
  integers[13] = g.dilationH;
  integers[14] = g.dilationW;
}

/** A 2-D convolution; a 1-D one has height 1. */
export interface Conv2dGeometry extends WindowGeometry {
  /** Input channels. */
  readonly inC: number;
  /** Output channels. */
  readonly outC: number;
  /** Groups of channels. */
  readonly groups: number;
}

/** Writes a {@linkcode Conv2dGeometry}. */
export function writeConv2d(integers: Integers, _floats: Floats, g: Conv2dGeometry): void {
  integers[0] = g.n;
  integers[1] = g.h;
  integers[2] = g.w;
  integers[3] = g.oh;
  integers[4] = g.ow;
  integers[5] = g.kh;
  integers[6] = g.kw;
  integers[7] = g.strideH;
  integers[8] = g.strideW;
  integers[9] = g.top;
  integers[10] = g.left;
  integers[11] = g.bottom;
  integers[12] = g.right;
  integers[13] = g.dilationH;
  integers[14] = g.dilationW;
  integers[15] = g.inC;
  integers[16] = g.outC;
  integers[17] = g.groups;
}

/** A convolution, and what it does with its result before it stores it. */
export interface FusedConv2dGeometry extends Conv2dGeometry {
  /** Whether another tensor is added before the activation. */
  readonly addsResidual: boolean;
  /** Bytes from y to that tensor; 0 for y itself. */
  readonly residual: number;
  /** The activation that follows. */
  readonly activation: FusedKind;
  /** Whether every build gives the same results. Only depthwise kernels read it. */
  readonly isExact: boolean;
}

/** Writes a {@linkcode FusedConv2dGeometry}. */
export function writeFusedConv2d(integers: Integers, _floats: Floats, g: FusedConv2dGeometry): void {
  integers[0] = g.n;
  integers[1] = g.h;
  integers[2] = g.w;
  integers[3] = g.oh;
  integers[4] = g.ow;
  integers[5] = g.kh;
  integers[6] = g.kw;
  integers[7] = g.strideH;
  integers[8] = g.strideW;
  integers[9] = g.top;
  integers[10] = g.left;
  integers[11] = g.bottom;
  integers[12] = g.right;
  integers[13] = g.dilationH;
  integers[14] = g.dilationW;
  integers[15] = g.inC;
  integers[16] = g.outC;
  integers[17] = g.groups;
  integers[18] = Number(g.addsResidual);
  integers[19] = g.residual;
  integers[20] = fusedKindCodes[g.activation];
  integers[21] = Number(g.isExact);
}

/** The filters of a convolution, to be packed. */
export interface FilterGeometry {
  /** Filters, one for each output channel. */
  readonly outC: number;
  /** Weights of a filter: input channels of a group · kernel height · kernel width. */
  readonly filterSize: number;
  /** Groups of channels. */
  readonly groups: number;
}

/** Writes a {@linkcode FilterGeometry}. */
export function writeFilter(integers: Integers, _floats: Floats, g: FilterGeometry): void {
  integers[0] = g.outC;
  integers[1] = g.filterSize;
  integers[2] = g.groups;
}

/** Rows of filters, to be rounded to 8 bits and packed. */
export interface Int8FilterGeometry extends FilterGeometry {
  /** Weights of a filter for each input channel: kernel height · kernel width. */
  readonly taps: number;
  /** The first row. */
  readonly first: number;
  /** The number of rows. */
  readonly rows: number;
  /** Whether the steps of the rows are given. */
  readonly isScaled: boolean;
}

/** Writes a {@linkcode Int8FilterGeometry}. */
export function writeInt8Filter(integers: Integers, _floats: Floats, g: Int8FilterGeometry): void {
  integers[0] = g.outC;
  integers[1] = g.filterSize;
  integers[2] = g.groups;
  integers[3] = g.taps;
  integers[4] = g.first;
  integers[5] = g.rows;
  integers[6] = Number(g.isScaled);
}

/** A convolution with weights in 8 bits, which rounds its input. */
export interface Int8Conv2dGeometry extends FusedConv2dGeometry {
  /** The least value of the input, if it is known beforehand. */
  readonly low: number;
  /** The largest value; low if the range has to be found. */
  readonly high: number;
}

/** Writes a {@linkcode Int8Conv2dGeometry}. */
export function writeInt8Conv2d(integers: Integers, floats: Floats, g: Int8Conv2dGeometry): void {
  integers[0] = g.n;
  integers[1] = g.h;
  integers[2] = g.w;
  integers[3] = g.oh;
  integers[4] = g.ow;
  integers[5] = g.kh;
  integers[6] = g.kw;
  integers[7] = g.strideH;
  integers[8] = g.strideW;
  integers[9] = g.top;
  integers[10] = g.left;
  integers[11] = g.bottom;
  integers[12] = g.right;
  integers[13] = g.dilationH;
  integers[14] = g.dilationW;
  integers[15] = g.inC;
  integers[16] = g.outC;
  integers[17] = g.groups;
  integers[18] = Number(g.addsResidual);
  integers[19] = g.residual;
  integers[20] = fusedKindCodes[g.activation];
  integers[21] = Number(g.isExact);
  floats[22] = g.low;
  floats[23] = g.high;
}

/** A 2-D pooling; a 1-D one has height 1. */
export interface Pool2dGeometry extends WindowGeometry {
  /** Channels. */
  readonly c: number;
}

/** Writes a {@linkcode Pool2dGeometry}. */
export function writePool2d(integers: Integers, _floats: Floats, g: Pool2dGeometry): void {
  integers[0] = g.n;
  integers[1] = g.h;
  integers[2] = g.w;
  integers[3] = g.oh;
  integers[4] = g.ow;
  integers[5] = g.kh;
  integers[6] = g.kw;
  integers[7] = g.strideH;
  integers[8] = g.strideW;
  integers[9] = g.top;
  integers[10] = g.left;
  integers[11] = g.bottom;
  integers[12] = g.right;
  integers[13] = g.dilationH;
  integers[14] = g.dilationW;
  integers[15] = g.c;
}

/** An adaptive pooling: its windows follow from the sizes of input and output. */
export interface AdaptiveGeometry extends PlaneGeometry {
  /** Channels. */
  readonly c: number;
}

/** Writes a {@linkcode AdaptiveGeometry}. */
export function writeAdaptive(integers: Integers, _floats: Floats, g: AdaptiveGeometry): void {
  integers[0] = g.n;
  integers[1] = g.h;
  integers[2] = g.w;
  integers[3] = g.oh;
  integers[4] = g.ow;
  integers[5] = g.c;
}

/** A fully connected layer. */
export interface LinearGeometry {
  /** Samples. */
  readonly n: number;
  /** Features of the input. */
  readonly inF: number;
  /** Features of the output. */
  readonly outF: number;
}

/** Writes a {@linkcode LinearGeometry}. */
export function writeLinear(integers: Integers, _floats: Floats, g: LinearGeometry): void {
  integers[0] = g.n;
  integers[1] = g.inF;
  integers[2] = g.outF;
}

/** Products of pairs of matrices. */
export interface MatMulGeometry {
  /** Pairs. */
  readonly batch: number;
  /** Rows of the result. */
  readonly m: number;
  /** Columns of the result. */
  readonly n: number;
  /** Products of each sum. */
  readonly k: number;
  /** Whether the first matrix of a pair lies transposed in memory, [k, m]. */
  readonly transposeA: boolean;
  /** Whether the second one does, [n, k]. */
  readonly transposeB: boolean;
  /** Whether the products are added to the result. */
  readonly accumulate: boolean;
}

/** Writes a {@linkcode MatMulGeometry}. */
export function writeMatMul(integers: Integers, _floats: Floats, g: MatMulGeometry): void {
  integers[0] = g.batch;
  integers[1] = g.m;
  integers[2] = g.n;
  integers[3] = g.k;
  integers[4] = Number(g.transposeA);
  integers[5] = Number(g.transposeB);
  integers[6] = Number(g.accumulate);
}

/** A tensor seen along one axis. */
export interface AxisGeometry {
  /** Elements before the axis. */
  readonly outer: number;
  /** Elements on the axis. */
  readonly size: number;
  /** Elements behind the axis. */
  readonly inner: number;
}

/** Writes a {@linkcode AxisGeometry}. */
export function writeAxis(integers: Integers, _floats: Floats, g: AxisGeometry): void {
  integers[0] = g.outer;
  integers[1] = g.size;
  integers[2] = g.inner;
}

/** A tensor [n, c, …] seen as planes of channels. */
export interface ChannelGeometry {
  /** Samples. */
  readonly n: number;
  /** Channels. */
  readonly c: number;
  /** Elements of a plane: all axes behind the channels. */
  readonly plane: number;
}

/** Writes a {@linkcode ChannelGeometry}. */
export function writeChannel(integers: Integers, _floats: Floats, g: ChannelGeometry): void {
  integers[0] = g.n;
  integers[1] = g.c;
  integers[2] = g.plane;
}

/** A copy along five axes, of which the outer ones can have size 1. */
export interface CopyGeometry {
  /** Size of axis 0 (outermost). */
  readonly n0: number;
  /** Size of axis 1. */
  readonly n1: number;
  /** Size of axis 2. */
  readonly n2: number;
  /** Size of axis 3. */
  readonly n3: number;
  /** Size of axis 4 (innermost). */
  readonly n4: number;
  /** Elements between neighbours along axis 0 of the output. */
  readonly y0: number;
  /** Elements between neighbours along axis 1 of the output. */
  readonly y1: number;
  /** Elements between neighbours along axis 2 of the output. */
  readonly y2: number;
  /** Elements between neighbours along axis 3 of the output. */
  readonly y3: number;
  /** Elements between neighbours along axis 4 of the output. */
  readonly y4: number;
  /** Elements between neighbours along axis 0 of the input. */
  readonly x0: number;
  /** Elements between neighbours along axis 1 of the input. */
  readonly x1: number;
  /** Elements between neighbours along axis 2 of the input. */
  readonly x2: number;
  /** Elements between neighbours along axis 3 of the input. */
  readonly x3: number;
  /** Elements between neighbours along axis 4 of the input. */
  readonly x4: number;
  /** Index of the first element written. */
  readonly yAt: number;
  /** Index of the first element read. */
  readonly xAt: number;
}

/** Writes a {@linkcode CopyGeometry}. */
export function writeCopy(integers: Integers, _floats: Floats, g: CopyGeometry): void {
  integers[0] = g.n0;
  integers[1] = g.n1;
  integers[2] = g.n2;
  integers[3] = g.n3;
  integers[4] = g.n4;
  integers[5] = g.y0;
  integers[6] = g.y1;
  integers[7] = g.y2;
  integers[8] = g.y3;
  integers[9] = g.y4;
  integers[10] = g.x0;
  integers[11] = g.x1;
  integers[12] = g.x2;
  integers[13] = g.x3;
  integers[14] = g.x4;
  integers[15] = g.yAt;
  integers[16] = g.xAt;
}

/** A batch normalisation. */
export interface BatchNormGeometry extends ChannelGeometry {
  /** Added to the variance. */
  readonly eps: number;
}

/** Writes a {@linkcode BatchNormGeometry}. */
export function writeBatchNorm(integers: Integers, floats: Floats, g: BatchNormGeometry): void {
  integers[0] = g.n;
  integers[1] = g.c;
  integers[2] = g.plane;
  floats[3] = g.eps;
}

/** A batch normalisation with an activation. */
export interface FusedBatchNormGeometry extends BatchNormGeometry {
  /** The activation that follows. */
  readonly activation: FusedKind;
}

/** Writes a {@linkcode FusedBatchNormGeometry}. */
export function writeFusedBatchNorm(integers: Integers, floats: Floats, g: FusedBatchNormGeometry): void {
  integers[0] = g.n;
  integers[1] = g.c;
  integers[2] = g.plane;
  floats[3] = g.eps;
  integers[4] = fusedKindCodes[g.activation];
}

/** The gradient of a batch normalisation, with the addresses for which a call has no room. */
export interface BatchNormBackwardGeometry extends BatchNormGeometry {
  /** Address of the mean of each channel. */
  readonly mean: number;
  /** Address of the variance of each channel. */
  readonly variance: number;
  /** Address of the factor of each channel; 0 for 1. */
  readonly weight: number;
}

/** Writes a {@linkcode BatchNormBackwardGeometry}. */
export function writeBatchNormBackward(integers: Integers, floats: Floats, g: BatchNormBackwardGeometry): void {
  integers[0] = g.n;
  integers[1] = g.c;
  integers[2] = g.plane;
  floats[3] = g.eps;
  integers[4] = g.mean;
  integers[5] = g.variance;
  integers[6] = g.weight;
}

/** A batch normalisation that is folded into filters [c, plane], with its addresses. */
export interface BatchNormFoldGeometry extends BatchNormBackwardGeometry {
  /** Address of the offset of each channel; 0 for 0. */
  readonly bias: number;
}

/** Writes a {@linkcode BatchNormFoldGeometry}. */
export function writeBatchNormFold(integers: Integers, floats: Floats, g: BatchNormFoldGeometry): void {
  integers[0] = g.n;
  integers[1] = g.c;
  integers[2] = g.plane;
  floats[3] = g.eps;
  integers[4] = g.mean;
  integers[5] = g.variance;
  integers[6] = g.weight;
  integers[7] = g.bias;
}

/** A normalisation of rows: of the groups of channels of each sample. */
export interface RowNormGeometry {
  /** Samples. */
  readonly n: number;
  /** Rows of a sample. */
  readonly groups: number;
  /** Channels of a row, each with a weight and a bias. */
  readonly channels: number;
  /** Elements of a channel. */
  readonly plane: number;
  /** Added to the variance. */
  readonly eps: number;
}

/** Writes a {@linkcode RowNormGeometry}. */
export function writeRowNorm(integers: Integers, floats: Floats, g: RowNormGeometry): void {
  integers[0] = g.n;
  integers[1] = g.groups;
  integers[2] = g.channels;
  integers[3] = g.plane;
  floats[4] = g.eps;
}

/** The gradient of a normalisation of rows, with the addresses for which a call has no room. */
export interface RowNormBackwardGeometry extends RowNormGeometry {
  /** Address of the mean of each row. */
  readonly mean: number;
  /** Address of 1 / √(variance + eps) of each row. */
  readonly rstd: number;
  /** Address of the factor of each channel; 0 for 1. */
  readonly weight: number;
}

/** Writes a {@linkcode RowNormBackwardGeometry}. */
export function writeRowNormBackward(integers: Integers, floats: Floats, g: RowNormBackwardGeometry): void {
  integers[0] = g.n;
  integers[1] = g.groups;
  integers[2] = g.channels;
  integers[3] = g.plane;
  floats[4] = g.eps;
  integers[5] = g.mean;
  integers[6] = g.rstd;
  integers[7] = g.weight;
}

/** A local response normalisation: x / (k + alpha/size · Σ x²)^beta over neighbouring channels. */
export interface LocalResponseNormGeometry extends ChannelGeometry {
  /** Channels in a window. */
  readonly size: number;
  /** Factor of the mean square. */
  readonly alpha: number;
  /** Exponent. */
  readonly beta: number;
  /** Summand. */
  readonly k: number;
}

/** Writes a {@linkcode LocalResponseNormGeometry}. */
export function writeLocalResponseNorm(integers: Integers, floats: Floats, g: LocalResponseNormGeometry): void {
  integers[0] = g.n;
  integers[1] = g.c;
  integers[2] = g.plane;
  integers[3] = g.size;
  floats[4] = g.alpha;
  floats[5] = g.beta;
  floats[6] = g.k;
}

/** How a tensor b is repeated over a larger one, [outer, size, inner]. */
export interface BroadcastGeometry extends AxisGeometry {
  /** Elements of b from one outer index to the next; 0 where b is repeated. */
  readonly outerStep: number;
  /** Elements of b from one index on the axis to the next; 0 where b is repeated. */
  readonly step: number;
  /** 1, or 0 where b is repeated. */
  readonly innerStep: number;
}

/** Writes a {@linkcode BroadcastGeometry}. */
export function writeBroadcast(integers: Integers, _floats: Floats, g: BroadcastGeometry): void {
  integers[0] = g.outer;
  integers[1] = g.size;
  integers[2] = g.inner;
  integers[3] = g.outerStep;
  integers[4] = g.step;
  integers[5] = g.innerStep;
}

/** A mean cross-entropy of logits [n, c]. */
export interface CrossEntropyGeometry {
  /** Samples. */
  readonly n: number;
  /** Classes. */
  readonly c: number;
  /** Share of the target that is spread over all classes. */
  readonly labelSmoothing: number;
}

/** Writes a {@linkcode CrossEntropyGeometry}. */
export function writeCrossEntropy(integers: Integers, floats: Floats, g: CrossEntropyGeometry): void {
  integers[0] = g.n;
  integers[1] = g.c;
  floats[2] = g.labelSmoothing;
}

/** Which elements a dropout keeps, and how it scales them. */
export interface DropoutMask {
  /** Seed of the hash that decides. */
  readonly seed: number;
  /** Largest hash that keeps an element: the probability to keep it · 2³² − 1. */
  readonly keep: number;
  /** Factor of the elements that are kept: 1 / the probability to keep them. */
  readonly scale: number;
}

/** Writes a {@linkcode DropoutMask}. */
export function writeDropoutMask(integers: Integers, floats: Floats, g: DropoutMask): void {
  integers[0] = g.seed;
  integers[1] = g.keep;
  floats[2] = g.scale;
}

/** One step of stochastic gradient descent. */
export interface SgdStep {
  /** Learning rate. */
  readonly lr: number;
  /** Share of the velocity that is kept; above 0 it takes a velocity. */
  readonly momentum: number;
  /** Share of the weights that is added to the gradient. */
  readonly weightDecay: number;
  /** Looks ahead along the velocity. */
  readonly nesterov: boolean;
}

/** Writes a {@linkcode SgdStep}. */
export function writeSgdStep(integers: Integers, floats: Floats, g: SgdStep): void {
  floats[0] = g.lr;
  floats[1] = g.momentum;
  floats[2] = g.weightDecay;
  integers[3] = Number(g.nesterov);
}

/** One step of AdamW. */
export interface AdamWStep {
  /** Factor of the weights: 1 − lr · weight decay. */
  readonly shrink: number;
  /** β₁, the share of the mean gradient that is kept. */
  readonly beta1: number;
  /** 1 − β₁; in float32 the subtraction would lose digits. */
  readonly rest1: number;
  /** β₂, the share of the mean squared gradient that is kept. */
  readonly beta2: number;
  /** 1 − β₂; in float32 the subtraction would lose digits. */
  readonly rest2: number;
  /** lr / (1 − β₁ᵗ). */
  readonly step: number;
  /** √(1 − β₂ᵗ). */
  readonly root: number;
  /** Added to the divisor. */
  readonly eps: number;
}

/** Writes a {@linkcode AdamWStep}. */
export function writeAdamWStep(_integers: Integers, floats: Floats, g: AdamWStep): void {
  floats[0] = g.shrink;
  floats[1] = g.beta1;
  floats[2] = g.rest1;
  floats[3] = g.beta2;
  floats[4] = g.rest2;
  floats[5] = g.step;
  floats[6] = g.root;
  floats[7] = g.eps;
}

/** Planes whose maxima are known by their positions. */
export interface MaxPositionGeometry {
  /** Planes: samples · channels. */
  readonly planes: number;
  /** Elements of a plane of the input. */
  readonly size: number;
  /** Elements of a plane of the output. */
  readonly outSize: number;
}

/** Writes a {@linkcode MaxPositionGeometry}. */
export function writeMaxPosition(integers: Integers, _floats: Floats, g: MaxPositionGeometry): void {
  integers[0] = g.planes;
  integers[1] = g.size;
  integers[2] = g.outSize;
}

/** The codes of {@linkcode ActivationKind}. */
export const activationKindCodes = {
  /** max(x, 0) */
  relu: 0,
  /** x where x > 0, a·x elsewhere */
  leakyRelu: 1,
  /** min(max(x, a), b) */
  hardtanh: 2,
  /** min(max(a·x + b, 0), 1) */
  hardsigmoid: 3,
  /** x · min(max(x + 3, 0), 6) / 6 */
  hardswish: 4,
  /** 1 / (1 + exp(−x)) */
  sigmoid: 5,
  /** The hyperbolic tangent. */
  tanh: 6,
  /** x · sigmoid(x · (a + b·x²)). With other numbers than 1 and 0 it is the GELU by tanh. */
  silu: 7,
  /** x · (1 + erf(x/√2)) / 2 */
  gelu: 8,
  /** log(1 + exp(a·x)) / a, or x where a·x > b */
  softplus: 9,
  /** x where x > 0, a · (exp(x) − 1) elsewhere */
  elu: 10,
  /** a · min(max(round(x / a), b), b + 255), ties to even: x in 8 bits */
  fakeQuantize: 11,
} as const;

/** The activation functions of single elements, with two numbers a and b. */
export type ActivationKind = keyof typeof activationKindCodes;

/** The codes of {@linkcode FusedKind}. */
export const fusedKindCodes = {
  /** x */
  none: 0,
  /** max(x, 0) */
  relu: 1,
  /** min(max(x, 0), 6) */
  relu6: 2,
  /** x · min(max(x + 3, 0), 6) / 6 */
  hardswish: 3,
  /** x / (1 + exp(−x)) */
  silu: 4,
} as const;

/** The activations that a kernel applies to its result before it stores it (inline/activate.ts). */
export type FusedKind = keyof typeof fusedKindCodes;

/** The codes of {@linkcode Word}. */
export const wordCodes = {
  /** Counts kernels. Waiting threads wait for it to change. */
  calls: 0,
  /** The number of workers inside the current kernel, plus `gateOpen` while more may enter. */
  gate: 1,
  /** Items of work that were claimed, 64 bits; kernels count them. */
  claims: 2,
  /** The upper half of the claims. */
  claimsAbove: 3,
  /** Workers that sleep. */
  sleepers: 4,
  /** Not 0 once the workers shall end. */
  stop: 5,
  /** The number of the kernel. */
  kernel: 6,
  /** Not 0 while the caller prepares a kernel, so that it is worth waiting for. */
  announced: 7,
  /** Not 0 once a thread's kernel has thrown, so that the others stop waiting for it. */
  failed: 8,
  /** Items of work that are finished since the kernel began; kernels count them. */
  done: 9,
  /** The first of the kernel's arguments, float64. */
  arguments: 10,
} as const;

/** The words of four bytes that threads share (src/backend/wasm/worker.ts, threads.ts). */
export type Word = keyof typeof wordCodes;
