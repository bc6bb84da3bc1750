// The part of deno std that the build uses; the npm mirror carries no types.
export function encodeBase64(data: ArrayBuffer | Uint8Array | string): string;
