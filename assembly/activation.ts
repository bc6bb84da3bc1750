// Activation functions of each element. Their codes and the meaning of a and b are those of ActivationKind
// (codes.ts). NaN stays NaN. At the kinks, the gradients are PyTorch's.
//
// Each kind has its own loop, in which its function is inlined. The last one to three elements are computed in a
// copy of four.

import { ActivationKind } from "./codes";
import { activate4, HARDSWISH } from "./inline/activate";
import { exp4, expm14, log1p4, normal4, sigmoid4, tanh4 } from "./inline/exp";
import { madd, relu4 } from "./inline/lanes";
import { ceilDiv, CHUNK, claim, EDGE_TILE, join, threadMemory } from "./threads";

/** y[i] = f(x[i]). y may be x. */
export function activation(y: usize, x: usize, n: i32, kind: i32, a: f32, b: f32): void {
  const items = ceilDiv(n, CHUNK), a4 = f32x4.splat(a), b4 = f32x4.splat(b);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const size = min(CHUNK, n - i * CHUNK), at: usize = (i * CHUNK) << 2;
    const whole: usize = (size & ~3) << 2, from = x + at, to = y + at;
    forward(to, from, from + whole, kind, a4, b4);
    const rest = (size & 3) << 2;
    if (!rest) continue;
    const four = threadMemory + EDGE_TILE;
    memory.copy(four, from + whole, rest);
    forward(four, four, four + 16, kind, a4, b4);
    memory.copy(to + whole, four, rest);
  }
  join(items);
}

/** dx[i] = dy[i] · f′, from the output or the input of f (src/ops/activation_kinds.ts). dx may be dy. */
export function activationBackward(
  dx: usize, dy: usize, saved: usize, n: i32, kind: i32, a: f32, b: f32,
): void {
  const items = ceilDiv(n, CHUNK), a4 = f32x4.splat(a), b4 = f32x4.splat(b);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const size = min(CHUNK, n - i * CHUNK), at: usize = (i * CHUNK) << 2;
    const whole: usize = (size & ~3) << 2, from = dy + at, to = dx + at;
    backward(to, from, from + whole, saved + at, kind, a4, b4);
    const rest = (size & 3) << 2;
    if (!rest) continue;
    const four = threadMemory + EDGE_TILE, fourSaved = four + 16;
    memory.copy(four, from + whole, rest);
    memory.copy(fourSaved, saved + at + whole, rest);
    backward(four, four, fourSaved, fourSaved, kind, a4, b4);
    memory.copy(to + whole, four, rest);
  }
  join(items);
}

/** y = f(x), four elements at a time. */
function forward(y: usize, x: usize, end: usize, kind: i32, a: v128, b: v128): void {
  switch (kind) {
    case ActivationKind.relu:
      for (; x < end; x += 16, y += 16) v128.store(y, relu4(v128.load(x)));
      break;
    case ActivationKind.leakyRelu:
      for (; x < end; x += 16, y += 16) v128.store(y, leakyRelu(v128.load(x), v128.load(x), a));
      break;
    case ActivationKind.hardtanh:
      for (; x < end; x += 16, y += 16) v128.store(y, clamp(v128.load(x), a, b));
      break;
    case ActivationKind.hardsigmoid:
      for (; x < end; x += 16, y += 16) v128.store(y, hardsigmoid(v128.load(x), a, b));
      break;
    case ActivationKind.hardswish:
      for (; x < end; x += 16, y += 16) v128.store(y, activate4(v128.load(x), HARDSWISH));
      break;
    case ActivationKind.sigmoid:
      for (; x < end; x += 16, y += 16) v128.store(y, sigmoid4(v128.load(x), false));
      break;
    case ActivationKind.tanh:
      for (; x < end; x += 16, y += 16) v128.store(y, tanh4(v128.load(x)));
      break;
    case ActivationKind.silu:
      for (; x < end; x += 16, y += 16) {
        const v = v128.load(x);
        v128.store(y, f32x4.mul(v, sigmoid4(f32x4.mul(v, quadratic(v, a, b)))));
      }
      break;
    case ActivationKind.gelu:
      for (; x < end; x += 16, y += 16) {
        const v = v128.load(x);
        v128.store(y, f32x4.mul(v, normal4(v, bell(v))));
      }
      break;
    case ActivationKind.softplus:
      for (; x < end; x += 16, y += 16) v128.store(y, softplus(v128.load(x), a, b));
      break;
    case ActivationKind.elu:
      for (; x < end; x += 16, y += 16) v128.store(y, elu(v128.load(x), a));
      break;
    case ActivationKind.fakeQuantize:
      for (; x < end; x += 16, y += 16) {
        const q = f32x4.nearest(f32x4.div(v128.load(x), a));
        v128.store(y, f32x4.mul(clamp(q, b, f32x4.add(b, f32x4.splat(255))), a));
      }
      break;
  }
}

/** dx = dy · f′, four elements at a time. s is the output y or the input x. */
function backward(dx: usize, dy: usize, end: usize, s: usize, kind: i32, a: v128, b: v128): void {
  const zero = f32x4.splat(0), one = f32x4.splat(1);
  switch (kind) {
    case ActivationKind.relu:
      for (; dy < end; dy += 16, dx += 16, s += 16) {
        v128.store(dx, v128.andnot(v128.load(dy), f32x4.le(v128.load(s), zero)));
      }
      break;
    case ActivationKind.leakyRelu:
      for (; dy < end; dy += 16, dx += 16, s += 16) {
        v128.store(dx, leakyRelu(v128.load(dy), v128.load(s), a));
      }
      break;
    case ActivationKind.hardtanh:
      for (; dy < end; dy += 16, dx += 16, s += 16) {
        const y = v128.load(s);
        v128.store(dx, v128.andnot(v128.load(dy), v128.or(f32x4.le(y, a), f32x4.ge(y, b))));
      }
      break;
    case ActivationKind.hardsigmoid:
      for (; dy < end; dy += 16, dx += 16, s += 16) {
        const y = v128.load(s), inside = v128.and(f32x4.gt(y, zero), f32x4.lt(y, one));
        v128.store(dx, v128.and(f32x4.mul(v128.load(dy), a), inside));
      }
      break;
    case ActivationKind.hardswish:
      for (; dy < end; dy += 16, dx += 16, s += 16) {
        v128.store(dx, hardswishBackward(v128.load(dy), v128.load(s)));
      }
      break;
    case ActivationKind.sigmoid:
      for (; dy < end; dy += 16, dx += 16, s += 16) {
        const y = v128.load(s);
        v128.store(dx, f32x4.mul(v128.load(dy), f32x4.mul(f32x4.sub(one, y), y)));
      }
      break;
    case ActivationKind.tanh:
      for (; dy < end; dy += 16, dx += 16, s += 16) {
        const y = v128.load(s);
        v128.store(dx, f32x4.mul(v128.load(dy), f32x4.sub(one, f32x4.mul(y, y))));
      }
      break;
    case ActivationKind.silu:
      for (; dy < end; dy += 16, dx += 16, s += 16) {
        v128.store(dx, f32x4.mul(v128.load(dy), siluSlope(v128.load(s), a, b)));
      }
      break;
    case ActivationKind.gelu:
      for (; dy < end; dy += 16, dx += 16, s += 16) {
        const x = v128.load(s), e = bell(x), density = f32x4.mul(e, f32x4.splat(0.3989422804));
        v128.store(dx, f32x4.mul(v128.load(dy), madd(normal4(x, e), x, density)));
      }
      break;
    case ActivationKind.softplus:
      for (; dy < end; dy += 16, dx += 16, s += 16) {
        const v = v128.load(dy), z = f32x4.mul(v128.load(s), a);
        v128.store(dx, v128.bitselect(v, f32x4.mul(v, sigmoid4(z)), f32x4.gt(z, b)));
      }
      break;
    case ActivationKind.elu:
      for (; dy < end; dy += 16, dx += 16, s += 16) {
        const v = v128.load(dy), y = v128.load(s);
        v128.store(dx, v128.bitselect(v, f32x4.mul(v, f32x4.add(y, a)), f32x4.gt(y, zero)));
      }
      break;
  }
}

/** v where x is positive, a · v elsewhere. */
// @ts-ignore: decorator
@inline
function leakyRelu(v: v128, x: v128, a: v128): v128 {
  return v128.bitselect(v, f32x4.mul(v, a), f32x4.gt(x, f32x4.splat(0)));
}

/** x, but at least a and at most b. The first operand of pmin and pmax keeps a NaN. */
// @ts-ignore: decorator
@inline
function clamp(x: v128, a: v128, b: v128): v128 {
  return f32x4.pmin(f32x4.pmax(x, a), b);
}

/** a·x + b, clamped to [0, 1] */
// @ts-ignore: decorator
@inline
function hardsigmoid(x: v128, a: v128, b: v128): v128 {
  return clamp(f32x4.add(f32x4.mul(x, a), b), f32x4.splat(0), f32x4.splat(1));
}

/** 0 below −3, dy from 3 on, dy · (x/3 + 1/2) between. */
// @ts-ignore: decorator
@inline
function hardswishBackward(dy: v128, x: v128): v128 {
  const between = f32x4.mul(dy, madd(f32x4.splat(0.5), x, f32x4.splat(1 / 3)));
  const above = v128.bitselect(dy, between, f32x4.ge(x, f32x4.splat(3)));
  return v128.andnot(above, f32x4.lt(x, f32x4.splat(-3)));
}

/**
 * The slope of x · s with s = sigmoid(u) and u = x · (a + b·x²): s + x · s′ · (a + 3b·x²). From e = e^(−|u|),
 * s′ = e / (1 + e)², without the rounding of 1 − s.
 */
// @ts-ignore: decorator
@inline
function siluSlope(x: v128, a: v128, b: v128): v128 {
  const one = f32x4.splat(1), u = f32x4.mul(x, quadratic(x, a, b)), e = exp4(f32x4.neg(f32x4.abs(u)));
  const inverse = f32x4.div(one, f32x4.add(one, e)), negative = f32x4.lt(u, f32x4.splat(0));
  const s = f32x4.mul(v128.bitselect(e, one, negative), inverse);
  const slope = f32x4.mul(f32x4.mul(e, inverse), inverse);
  return madd(s, f32x4.mul(x, slope), quadratic(x, a, f32x4.mul(b, f32x4.splat(3))));
}

/** a + b·x². The limit keeps 0 · ∞ away from b = 0. */
// @ts-ignore: decorator
@inline
function quadratic(x: v128, a: v128, b: v128): v128 {
  return madd(a, f32x4.pmin(f32x4.mul(x, x), f32x4.splat(1e30)), b);
}

/** e^(−x²/2) */
// @ts-ignore: decorator
@inline
function bell(x: v128): v128 {
  return exp4(f32x4.mul(f32x4.mul(x, f32x4.splat(-0.5)), x));
}

/** log(1 + eᶻ) / a with z = a·x, and x itself where z is above b. */
// @ts-ignore: decorator
@inline
function softplus(x: v128, a: v128, b: v128): v128 {
  const z = f32x4.mul(x, a), log = log1p4(exp4(f32x4.neg(f32x4.abs(z))));
  const y = f32x4.div(f32x4.add(relu4(z), log), a);
  return v128.bitselect(x, y, f32x4.gt(z, b));
}

/** a · (eˣ − 1) where x is not positive. */
// @ts-ignore: decorator
@inline
function elu(x: v128, a: v128): v128 {
  const zero = f32x4.splat(0), below = f32x4.mul(a, expm14(f32x4.pmin(x, zero)));
  return v128.bitselect(x, below, f32x4.gt(x, zero));
}
