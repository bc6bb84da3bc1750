/**
 * The devices that `createBackend` knows; "auto" takes the fastest there is.
 *
 * @internal
 */
export const devices = ["auto", "wasm", "webgpu"] as const;
