// A gateway that holds the work on each project of HOLD_AT (a JSON object: project id to step) at its step, and kills itself
// with -9 as soon as all of them have come there. It tells its parent of each ({ held: project id }).
import { build } from "../../gateway/app.ts";
import { runService } from "../../mesh/lifecycle.ts";

const holdAt = new Map(Object.entries(JSON.parse(process.env.HOLD_AT ?? "{}") as Record<string, string>));

await runService("gateway", (env) =>
  build(env, {
    onStep: (step, projectId) => {
      if (holdAt.get(projectId) !== step) return;
      holdAt.delete(projectId);
      process.send?.({ held: projectId });
      if (holdAt.size === 0) process.kill(process.pid, "SIGKILL");
      return new Promise<void>(() => {});
    },
  }),
);
