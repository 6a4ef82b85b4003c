import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { PluginLimitsSchema } from "../../gen/easycron/v1/plugin_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { enablePlugin, requireRow, rotateCredentials } from "../plugins/change.ts";
import { credentialsValid } from "../plugins/credentials.sql.ts";
import { disablePlugin } from "../plugins/disable.ts";
import type { KindName } from "../plugins/kinds.ts";
import { type PluginParts, type PluginStep, sqlNow } from "../plugins/parts.ts";
import { createReconciler } from "../plugins/reconcile.ts";
import { type PluginsBench, startPluginsBench } from "./plugins-bench.ts";

export const DAY_MS = 86_400_000;
export const T0 = Date.UTC(2030, 0, 1);

/** A plugin of a project. */
export interface Name {
  readonly projectId: string;
  readonly kind: KindName;
}

export const A = { projectId: "proj_a", kind: "REDIS" } as const;
export const B = { projectId: "proj_b", kind: "REDIS" } as const;
export const KAFKA = { projectId: "proj_a", kind: "KAFKA" } as const;

/**
 * Starts a bench for the tests of a file, resets it before each test, and returns it with what these tests share: calls
 * with short names, and what is in the database and in the broker.
 */
export function usePlugins() {
  let bench: PluginsBench | undefined;
  const open = () => {
    if (bench === undefined) throw new Error("The bench has not started.");
    return bench;
  };
  /** Of the process that makes the calls now; undefined is the bench's own. */
  let current: PluginParts | undefined;
  const parts = () => current ?? open().parts;
  beforeAll(async () => {
    bench = await startPluginsBench();
  });
  afterAll(() => bench?.close());
  beforeEach(async () => {
    await open().reset();
    current = undefined;
  });

  const enable = (name: Name = A, limits?: { maxBytes?: bigint; maxTopics?: number }) =>
    enablePlugin(parts(), name, { limits: limits && create(PluginLimitsSchema, limits), topics: [] }, {});
  const rotate = (overlapMs = DAY_MS, name: Name = A) => rotateCredentials(parts(), name, overlapMs, {});
  const disable = (isForced = false, graceMs = DAY_MS, name: Name = A) =>
    disablePlugin(parts(), name, { isForced, graceMs }, {});

  return {
    get bench() {
      return open();
    },
    get parts() {
      return parts();
    },
    set parts(given: PluginParts) {
      current = given;
    },
    enable,
    rotate,
    disable,
    rowOf: (name: Name = A) => requireRow(open().parts, name),
    usersOf: (name: Name = A) => open().spaces.get(`${name.kind} ${name.projectId}`)?.users,
    validOf: async ({ projectId, kind }: Name = A) => {
      const rows = await open().pool.query(credentialsValid, [projectId, sqlNow(open().parts)]);
      return rows.filter((row) => row.kind === kind).map(({ username }) => username);
    },
    /** Lets a gateway look once, and waits for its work. */
    look: async (): Promise<void> => {
      const reconciler = createReconciler(parts());
      await reconciler.look();
      await reconciler.untilIdle();
    },
    /** What plugin delivery says while a broker is away. */
    away: () => failure("SERVICE_UNAVAILABLE", { service: "redis" }, { retryAfterMs: 1_000 }),
    /** Runs a call whose process dies at a step: nothing after the step happens, not even the writing of the failure. */
    dieAt: async (step: PluginStep, call: () => Promise<unknown>): Promise<void> => {
      const death = Promise.withResolvers<void>();
      let isDead = false;
      const { pool } = open();
      const database: PluginParts["database"] = {
        ...pool,
        query: (...given) => (isDead ? new Promise(() => {}) : pool.query(...given)),
      };
      const onStep = (reached: PluginStep) => {
        if (reached !== step) return;
        isDead = true;
        death.resolve();
        throw new Error("killed");
      };
      current = { ...open().parts, database, onStep };
      void call();
      await death.promise;
      current = undefined;
      // The lease of a process that has died ends by itself.
      await pool.query({ name: "endLeases", text: "update gateway.plugins set lease_end = now()" });
    },
    /**
     * Makes two calls of which the second has found the plugin in use by the first, which then goes on. Returns what both
     * promise.
     */
    overlap: async <First, Second>(
      first: () => Promise<First>,
      second: () => Promise<Second>,
    ): Promise<readonly [Promise<First>, Promise<Second>]> => {
      const reached = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      const { before, pool } = open();
      before.REDIS = async () => {
        reached.resolve();
        await goOn.promise;
      };
      const firstDone = first();
      await reached.promise;
      const hasTried = Promise.withResolvers<void>();
      const query: PluginParts["database"]["query"] = async (...given) => {
        const answer = await pool.query(...given);
        if (given[0].name === "pluginTakeIfFree") hasTried.resolve();
        return answer;
      };
      current = { ...open().parts, database: { ...pool, query } };
      const secondDone = second();
      await hasTried.promise;
      current = undefined;
      goOn.resolve();
      return [firstDone, secondDone];
    },
  };
}
