/**
 * Colours for values from 0 to 1.
 *
 * @module
 */

/**
 * The coefficients of polynomials that are close to matplotlib's "inferno": from black over purple and
 * orange to a light yellow, ever brighter to the eye. Red, green and blue; from the highest power down.
 *
 * Source: Matt Zucker, https://www.shadertoy.com/view/WlfXRN (CC0).
 */
const inferno = [
  [25.1311262, -71.3194282, 77.1629357, -41.703996, 11.602493, 0.10651342, 0.00021894],
  [-12.242669, 32.626064, -33.402359, 17.436399, -3.972854, 0.56395644, 0.00165100],
  [-23.070325, 73.20952, -81.807309, 44.354145, -15.942394, 3.9327124, -0.0194809],
];

let table: Uint8ClampedArray | undefined;

/** The red, green and blue of 256 values, from 0 to 255 each. Made on first use. */
export function colorTable(): Uint8ClampedArray {
  return table ??= new Uint8ClampedArray(256 * 3).map((_, i) => {
    const value = Math.floor(i / 3) / 255;
    return 255 * inferno[i % 3].reduce((sum, coefficient) => sum * value + coefficient, 0);
  });
}
