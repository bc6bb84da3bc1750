/** Errors of the operating system, as Deno throws them. */

import { FileError } from "../../src/errors.ts";
import { isSystemError, systemReason } from "../../src/io/system_error.ts";
import { assertEquals } from "../assert.ts";

Deno.test("systemReason() leaves out the number of the error and the call, and nothing else", () => {
  const cases = [
    ["No such file or directory (os error 2): open 'a'", "no such file or directory"],
    ["Access is denied. (os error 5)", "access is denied"],
    ["First\nsecond (os error 5): open 'a\nb'", "first second"],
    [
      "file name contained an unexpected NUL byte: copy 'a' -> 'b'",
      "file name contained an unexpected NUL byte",
    ],
    ["Could not parse: value 'abc'", "Could not parse: value 'abc'"],
    ["Two\n lines", "Two lines"],
    [": open 'x'", ": open 'x'"],
    [" (os error 5)", " (os error 5)"],
    ["", ""],
  ];
  for (const [message, reason] of cases) assertEquals(systemReason(message), reason);
});

Deno.test("isSystemError() tells errors of the system from others", () => {
  const message = "Input/output error (os error 5)";
  assertEquals(isSystemError(new Error(message)), true);
  assertEquals(isSystemError(Object.assign(new TypeError("x"), { code: "EINVAL" })), true);
  const others = [
    new FileError("a", message), // as its reason
    new DOMException("aborted", "AbortError"), // has a code
    new TypeError("x is undefined"),
    message,
  ];
  for (const other of others) assertEquals(isSystemError(other), false, String(other));
});
