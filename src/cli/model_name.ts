/** The names that --model accepts: of networks, and of published weights. */

import { catalogue, findCatalogueEntry } from "../hub/catalogue.ts";
import { isNetworkName, type NetworkName, networkNames, similarNames } from "../models/registry.ts";
import { invalidValue, oneOf } from "./choices.ts";

/**
 * The network of a name.
 *
 * @throws {UsageError} When there is no such network.
 */
export function networkOf(name: string): NetworkName {
  if (isNetworkName(name)) return name;
  const entry = findCatalogueEntry(name);
  if (entry) return entry.architecture;
  const names = new Set([...catalogue.map(({ name }) => name), ...networkNames]);
  const similar = similarNames(name, [...names]).join(", ");
  if (similar === "") return oneOf("--model", name, [...names].sort()) as NetworkName;
  throw invalidValue("--model", name, `be a name in docs/networks.md, such as ${similar}`);
}
