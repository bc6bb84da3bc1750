// The part of deno std that the build uses. The npm package has no types.
export function encodeBase64(data: ArrayBuffer | Uint8Array | string): string;
