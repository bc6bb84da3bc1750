import { importGroup } from "../groups.ts";

await importGroup("browser_webgpu");
