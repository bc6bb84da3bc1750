/** The devices to compute on, with the milliseconds that each takes. */

/// <reference lib="dom" />

import { byId, choice, element, press } from "./elements.ts";
import { milliseconds } from "./format.ts";
import type { Device, DeviceLimits } from "./page_calls.ts";

/** The devices in the order of the page, with their names. */
export const deviceNames: Readonly<Record<Device, string>> = {
  webgpu: "WebGPU",
  threads: "Wasm, threads",
  wasm: "Wasm",
};

/** All devices. */
export const allDevices = Object.keys(deviceNames) as readonly Device[];

/** The tile of a device: a button with its name, its time, and a bar as long as its time. */
interface Tile {
  readonly button: HTMLButtonElement;
  readonly name: HTMLElement;
  readonly time: HTMLElement;
}

/** The tiles of all devices. */
export class DeviceTiles {
  readonly #tiles: Readonly<Record<Device, Tile>>;
  readonly #times = new Map<Device, number>();

  /** @param onChoose Called when the reader chooses another device. */
  constructor(onChoose: (device: Device) => void) {
    const tiles = allDevices.map((device): [Device, Tile] => {
      const name = element("span", "name", deviceNames[device]);
      const time = element("span", "time number", "–");
      const button = choice(
        () => onChoose(device),
        name,
        time,
        element("span", "bar"),
      );
      return [device, { button, name, time }];
    });
    this.#tiles = Object.fromEntries(tiles) as Record<Device, Tile>;
    byId("devices").append(...tiles.map(([, { button }]) => button));
  }

  /** Presses the tile of the device in use. */
  press(device: Device): void {
    press(allDevices.map((each) => this.#tiles[each].button), this.#tiles[device].button);
  }

  /** Disables devices that cannot be used, and says why. */
  limit({ reasons, hasSoftwareGpu }: DeviceLimits): void {
    for (const device of allDevices) {
      const { button, time } = this.#tiles[device], reason = reasons[device];
      button.disabled = reason !== undefined;
      if (reason) time.textContent = reason;
    }
    if (hasSoftwareGpu) this.#tiles.webgpu.name.textContent += ", software";
  }

  /** Devices that can be used. */
  enabled(): Device[] {
    return allDevices.filter((device) => !this.#tiles[device].button.disabled);
  }

  /** Says that a device, and no other, is being measured. */
  begin(device: Device): void {
    this.showKnown();
    this.#tiles[device].time.textContent = "…";
  }

  /** Shows the milliseconds of a device. */
  show(device: Device, time: number): void {
    this.#times.set(device, time);
    this.showKnown();
  }

  /** Shows the times that are known, and that no device is being measured. */
  showKnown(): void {
    const longest = Math.max(...this.#times.values());
    for (const each of allDevices) {
      const known = this.#times.get(each), { button, time } = this.#tiles[each];
      button.style.setProperty("--share", `${(known ?? 0) / longest * 100}%`);
      if (!button.disabled) time.textContent = known === undefined ? "–" : milliseconds(known);
    }
  }

  /** Forgets all times, because another network has others. */
  clear(): void {
    this.#times.clear();
    this.showKnown();
  }
}
