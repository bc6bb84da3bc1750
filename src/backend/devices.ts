/**
 * The devices of `createBackend()`; "auto" selects the fastest one available.
 *
 * @internal
 */
export const devices = ["auto", "wasm", "webgpu"] as const;
