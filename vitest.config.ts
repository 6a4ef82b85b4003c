import { defineConfig } from "vitest/config";

const unit = ["{cron,db,dev,dispatcher,gateway,mesh,plugins,scheduler,sdk}/**/*.test.ts", "test/*.test.ts"];

export default defineConfig({
  test: {
    pool: "forks",
    globalSetup: ["test/support/global-postgres.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: unit,
          exclude: ["**/node_modules/**"],
          maxWorkers: 2,
          testTimeout: 20_000,
        },
      },
      {
        extends: true,
        // Each of these runs the whole product in processes of its own: one after the other.
        test: {
          name: "whole",
          include: ["test/whole/**/*.test.ts"],
          maxWorkers: 1,
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
