import { importGroup } from "../groups.ts";

await importGroup("files");
