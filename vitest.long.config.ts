import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { LONG_TESTS } from "./test/support/long-tests.ts";
import { LongestFirst } from "./test/support/longest-first.ts";
import { reportSlowestFiles } from "./test/support/slowest-files.ts";

process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, "node_modules/.cache/compiled");

/** The long tests. They mostly wait for brokers, processes and installations, so three files run at once. */
export default defineConfig({
  test: {
    name: "long",
    pool: "forks",
    maxWorkers: 3,
    isolate: false,
    sequence: { sequencer: LongestFirst },
    include: [...LONG_TESTS],
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
