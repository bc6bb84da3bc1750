/** The curve of learning: the accuracy and the loss after each step. */

/// <reference lib="dom" />

import { shareText } from "./teach_text.ts";
import type { Measure, Step } from "./teach_protocol.ts";

/** The size of a plot, in units of its view box. */
const width = 240, height = 120;

const plot = (title: string) => `
  <div class="plot">
    <h4 id="teach-${title}">${title}</h4>
    <div class="plot-area">
      <span class="most"></span><span class="least">0</span>
      <svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img">
        <path class="grid" d="M0 0H${width}M0 ${height / 2}H${width}M0 ${height}H${width}"/>
        <polyline class="training"/><polyline class="validation"/>
      </svg>
    </div>
  </div>`;

const template = `
  <div class="plots">${plot("Accuracy")}${plot("Loss")}</div>
  <figcaption>
    <span class="validation"><svg viewBox="0 0 24 4" aria-hidden="true"><path d="M0 2h24"/></svg>
      held-out photos <b></b></span>
    <span class="training"><svg viewBox="0 0 24 4" aria-hidden="true"><path d="M0 2h24"/></svg>
      photos it learns from <b></b></span>
  </figcaption>`;

/** What a plot shows of a measure. */
const accuracy = ({ accuracy }: Measure) => accuracy, loss = ({ loss }: Measure) => loss;

/** A curve that grows step by step. */
export class Curve {
  readonly #figure: HTMLElement;
  #steps: Step[] = [];

  constructor(figure: HTMLElement) {
    this.#figure = figure;
    figure.innerHTML = template;
  }

  /** Starts again. */
  clear(): void {
    this.#steps = [];
    this.#draw();
  }

  /** Adds a step. */
  add(step: Step): void {
    this.#steps.push(step);
    this.#draw();
  }

  /** What the curve shows, in words. */
  get text(): string {
    const first = this.#steps[0], last = this.#steps.at(-1);
    if (!first || !last) return "";
    const from = first.validation ?? first.training, to = last.validation ?? last.training;
    const photos = last.validation ? "photos that were held out" : "the photos it learns from";
    return `In ${last.step} steps, the accuracy on ${photos} went from ${
      shareText(from.accuracy)
    } ` +
      `to ${shareText(to.accuracy)}, and the loss from ${from.loss.toFixed(2)} to ${
        to.loss.toFixed(2)
      }.`;
  }

  #draw(): void {
    const last = this.#steps.at(-1);
    const highest = Math.max(
      0.1,
      ...this.#steps.flatMap(({ training, validation }) =>
        [training, validation].map((measure) => measure?.loss ?? 0)
      ),
    );
    const [first, second] = this.#figure.querySelectorAll<HTMLElement>(".plot");
    this.#drawPlot(first, accuracy, 1, "100 %");
    this.#drawPlot(second, loss, highest, highest.toFixed(1));
    for (const name of ["training", "validation"] as const) {
      const key = this.#figure.querySelector<HTMLElement>(`figcaption .${name}`)!;
      const measure = last?.[name];
      key.hidden = name === "validation" && last !== undefined && !measure;
      key.querySelector("b")!.textContent = measure
        ? `${shareText(measure.accuracy)}, loss ${measure.loss.toFixed(2)}`
        : "";
    }
    for (const svg of this.#figure.querySelectorAll("[role=img]")) {
      svg.setAttribute("aria-label", this.text || "No steps yet.");
    }
  }

  #drawPlot(
    plot: HTMLElement,
    value: (measure: Measure) => number,
    most: number,
    label: string,
  ): void {
    plot.querySelector(".most")!.textContent = label;
    for (const name of ["training", "validation"] as const) {
      const points = this.#steps.flatMap(({ step, steps, [name]: measure }) => {
        if (!measure) return [];
        return `${(step / steps * width).toFixed(1)},${
          ((1 - value(measure) / most) * height).toFixed(1)
        }`;
      });
      plot.querySelector(`polyline.${name}`)!.setAttribute("points", points.join(" "));
    }
  }
}
