/** The devices that `createBackend` knows; "auto" takes the fastest there is. */
export const devices = ["auto", "wasm", "webgpu"] as const;
