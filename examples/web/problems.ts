/** What pages say when they cannot compute. */

/**
 * What the library and each browser say when a script or another file of the page cannot be loaded. The
 * library puts the address before it.
 */
const loadErrors =
  /^(https?:\S+: )?(cannot load the kernels|failed to fetch|network ?error|load failed|Importing a module|error loading dyn)/i;

/** The smallest module that uses SIMD: it drops a vector of zeros. */
const simd = "AGFzbQEAAAABBAFgAAADAgEACgkBBwBBAP0PGgs=";

/** What to say if a message is that of a file that cannot be loaded. Undefined for other messages. */
export function loadProblem(message: string): string | undefined {
  return loadErrors.test(message)
    // without a connection, or after an update of the site
    ? "A part of the page cannot be loaded. Try again online, or load the page again."
    : undefined;
}

/**
 * What to say where kernels cannot be compiled: in old browsers, in iOS's Lockdown Mode, and if the host
 * forbids it. Undefined elsewhere.
 */
export function wasmProblem(): string | undefined {
  try {
    new WebAssembly.Module(Uint8Array.from(atob(simd), (char) => char.charCodeAt(0)));
    return undefined;
  } catch {
    return "The page cannot compute: this browser is too old for it, or forbids it WebAssembly. " +
      "Use a current browser, and turn off Lockdown Mode for this page.";
  }
}
