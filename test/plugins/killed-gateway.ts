// A gateway that kills itself with -9 at the step of KILL_AT.
import { build } from "../../gateway/app.ts";
import { runService } from "../../mesh/lifecycle.ts";

const killAt = process.env.KILL_AT;

await runService("gateway", (env) =>
  build(env, {
    onStep: (step) => {
      if (step === killAt) process.kill(process.pid, "SIGKILL");
    },
  }),
);
