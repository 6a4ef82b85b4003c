import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { reportSlowestFiles } from "./test/support/slowest-files.ts";

process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, "node_modules/.cache/compiled");

/**
 * The tests of faults: each starts a product of its own, causes one fault, and looks at what a healthy project beside
 * it notices. They run one after the other, because they look at lateness.
 */
export default defineConfig({
  test: {
    name: "faults",
    pool: "forks",
    maxWorkers: 1,
    include: ["test/faults/**/*.test.ts"],
    // A poll that finds what it waits for ends at once, so a long limit costs nothing. Vitest's own, 1 s, is too short for a
    // busy machine.
    expect: { poll: { timeout: 15_000 } },
    reporters: ["default", reportSlowestFiles()],
    globalSetup: ["test/support/global-postgres.ts", "test/support/global-kafka.ts"],
    testTimeout: 180_000,
    hookTimeout: 60_000,
  },
});
