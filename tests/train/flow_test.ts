import * as library from "../../mod.ts";
import { assert, assertEquals } from "../assert.ts";
import { labelledPhotos } from "../cli/labelled_photos.ts";
import { learnPhotos } from "./flow.ts";

Deno.test("the library learns classes from photos", async () => {
  const weights = new URL("../../weights/alexnet_tiny.safetensors", import.meta.url);
  const bytes = await Deno.readFile(weights), photos = await labelledPhotos(10);
  const learned = await learnPhotos(library, photos, bytes);
  const { accuracy, recognized, turns } = learned;
  assert(accuracy > 0.9 && recognized > 0.9, JSON.stringify(learned));
  // about one in 100 ms; none without pauses
  assert(turns >= 3, `other code ran ${turns} times`);
  // in another order, with the same bytes
  const again = await learnPhotos(library, photos.toReversed(), bytes);
  assertEquals(again.sha256, learned.sha256);
});
