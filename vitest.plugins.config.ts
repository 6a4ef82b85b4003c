import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/longest-first.ts";
import { PLUGIN_SUITE } from "./test/support/plugin-suite.ts";
import { reportSlowestFiles } from "./test/support/slowest-files.ts";

process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, "node_modules/.cache/compiled");

/** The long tests of the plugins. They mostly wait for brokers and processes to come back, so three files run at once. */
export default defineConfig({
  test: {
    name: "plugins",
    pool: "forks",
    maxWorkers: 3,
    isolate: false,
    sequence: { sequencer: LongestFirst },
    include: [...PLUGIN_SUITE],
    reporters: ["default", reportSlowestFiles()],
    globalSetup: [
      "test/support/global-postgres.ts",
      "test/support/global-kafka.ts",
      "test/support/global-mesh.ts",
    ],
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
});
