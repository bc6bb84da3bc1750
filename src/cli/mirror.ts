/** The mirror that models are downloaded from. */

import { invalidValue } from "./choices.ts";
import { envIfGranted } from "./errors.ts";
import { isWebUrl } from "./inputs.ts";

/**
 * The address in PEMBROKE_MIRROR; undefined if there is none, or the permission to read it is
 * missing.
 *
 * @throws {UsageError} When it is no URL.
 */
export function mirrorFromEnv(): string | undefined {
  const variable = "PEMBROKE_MIRROR";
  const url = envIfGranted(variable);
  if (!url) return undefined;
  if (isWebUrl(url)) return url;
  throw invalidValue(variable, url, "be an http or https URL");
}
