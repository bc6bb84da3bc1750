import { importGroup } from "../groups.ts";

await importGroup("many_photos");
