/** What the page about convolution shows, and what PyTorch computed. */

import type { Page } from "npm:playwright-core@1.56.1";
import { assertAlmostEquals, assertEquals, assertMatch } from "../../tests/assert.ts";

/** Inputs of the page, and what PyTorch makes of them. */
export interface Case {
  readonly name: string;
  readonly x: number[];
  readonly w: number[];
  readonly y: number[];
  readonly unpadded: number[];
  readonly dy: number[];
  readonly dx: number[];
  readonly dw: number[];
  readonly cost: number;
  readonly stepped: number[];
  readonly costAfter: number;
  readonly p: number[];
  readonly chosen: number[];
  readonly dxPool: number[];
}

const path = new URL("../../tests/fixtures/web/convolution.json", import.meta.url);
const fixture = JSON.parse(await Deno.readTextFile(path)) as {
  readonly rate: number;
  readonly cases: readonly Case[];
};

/** The inputs that the tests make, in order. */
export const { cases } = fixture;

/**
 * A number as the page writes it, and how far the exact one may be from it: half a unit of the last
 * of two or three digits. The page leaves out digits only if they are 0.
 */
function parse(text: string): { readonly value: number; readonly error: number } {
  assertMatch(text, /^−?\d+(\.\d+)?$/);
  const digits = text.split(".")[1]?.length === 2 ? 2 : 3;
  return { value: Number(text.replace("−", "-")), error: 0.5 * 10 ** -digits + 1e-5 };
}

/** Asserts that elements of the page show these numbers, by selector, at once or soon. */
export async function assertShown(
  page: Page,
  expected: Record<string, readonly number[]>,
): Promise<void> {
  const end = performance.now() + 10_000; // a busy machine may still compute
  const isRight = () => assertShownNow(page, expected).then(() => true, () => false);
  while (performance.now() < end && !await isRight()) await page.waitForTimeout(50);
  await assertShownNow(page, expected);
}

async function assertShownNow(
  page: Page,
  expected: Record<string, readonly number[]>,
): Promise<void> {
  const selectors = JSON.stringify(Object.keys(expected));
  const shown = await page.evaluate(`${selectors}.map((selector) =>
    Array.from(document.querySelectorAll(selector), ({ textContent }) => textContent))`) as string[][];
  for (const [i, [selector, values]] of Object.entries(expected).entries()) {
    assertEquals(shown[i].length, values.length, selector);
    for (const [j, text] of shown[i].entries()) {
      const { value, error } = parse(text.trim());
      assertAlmostEquals(value, values[j], error, `${selector}: ${j}`);
    }
  }
}

/** Asserts that the whole page shows what PyTorch computed. */
export async function assertPageShows(page: Page, expected: Case): Promise<void> {
  const { x, w, y, dy, dw, stepped, chosen } = expected, P = (w.length - 1) / 2;
  const uses = (cut: number) =>
    x.map((_, j) => w.filter((_, k) => j - k + P >= cut && j - k + P < x.length - cut).length);
  await assertShown(page, {
    "#x-plot .number": x,
    "#w-plot .number": w,
    "#forward-table thead .number": x,
    "#forward-table td:not(:first-child):not(.product)": y.flatMap((_, i) =>
      x.map((_, j) => w[j - i + P] ?? 0)
    ),
    "#forward-table button": y,
    "#padding-table tbody:nth-of-type(1) tr:nth-child(1) td": y,
    "#padding-table tbody:nth-of-type(1) tr:nth-child(2) td:not(.none)": expected.unpadded,
    "#padding-table tbody:nth-of-type(2) tr:nth-child(1) td": uses(0),
    "#padding-table tbody:nth-of-type(2) tr:nth-child(2) td": uses(P),
    "#dx-table thead .number": dy,
    "#dx-table button": expected.dx,
    "#dw-table button": dw,
    "#step-table tbody td": w.flatMap((
      value,
      k,
    ) => [value, dw[k], -fixture.rate * dw[k], stepped[k]]),
    "#cost": [expected.cost],
    "#cost-after": [expected.costAfter],
    "#pool-table td:not(:first-child):not(.product)": chosen.flatMap((at) =>
      x.map((_, j) => Number(j === at))
    ),
    "#pool-table button": expected.p,
    "#dxPool-table button": expected.dxPool,
  });
}

/** Waits until the kernels have computed, and the page shows it. */
export const settle = (page: Page) => page.evaluate("new Promise((r) => setTimeout(r, 30))");
