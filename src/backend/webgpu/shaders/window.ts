/**
 * The constants that convolutions and poolings share.
 *
 * @module
 */

import type { WindowGeometry } from "../../geometry.ts";
import type { Constants } from "../shader.ts";

/** The sizes and strides of windows as constants. */
export function windowConstants(g: WindowGeometry): Constants {
  return {
    H: g.h,
    W: g.w,
    OH: g.oh,
    OW: g.ow,
    KH: g.kh,
    KW: g.kw,
    STRIDE_H: g.strideH,
    STRIDE_W: g.strideW,
    TOP: g.top,
    LEFT: g.left,
    BOTTOM: g.bottom,
    RIGHT: g.right,
    DILATION_H: g.dilationH,
    DILATION_W: g.dilationW,
  };
}
