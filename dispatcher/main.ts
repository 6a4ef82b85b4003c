import { runService } from "../mesh/lifecycle.ts";
import { build } from "./app.ts";

await runService("dispatcher", build);
