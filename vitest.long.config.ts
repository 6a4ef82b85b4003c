import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { KILLING, LONG_TESTS } from "./test/support/long-tests.ts";
import { LongestFirst } from "./test/support/longest-first.ts";
import { reportSlowestFiles } from "./test/support/slowest-files.ts";

process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, "node_modules/.cache/compiled");

/** The long tests. */
export default defineConfig({
  test: {
    pool: "forks",
    sequence: { sequencer: LongestFirst },
    // A poll that finds what it waits for ends at once, so a long limit costs nothing. Vitest's own, 1 s, is too short for a
    // busy machine.
    expect: { poll: { timeout: 15_000 } },
    reporters: ["default", reportSlowestFiles()],
    globalSetup: [
      "test/support/global-postgres.ts",
      "test/support/global-kafka.ts",
      "test/support/global-mesh.ts",
    ],
    testTimeout: 180_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        // They mostly wait for brokers, processes and installations, so three files run at once.
        test: { name: "long", include: [...LONG_TESTS], isolate: false, maxWorkers: 3 },
      },
      {
        extends: true,
        test: { name: "kill", include: [KILLING], sequence: { groupOrder: 1 } },
      },
    ],
  },
});
