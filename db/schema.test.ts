import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "../test/support/database.ts";
import { dumpSchema, type Grant, readGrants } from "./schema.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

test("db/schema.sql is the schema of a freshly migrated database (if it is not, run `npm run schema`)", async () => {
  expect(await dumpSchema(database.url())).toBe(
    await readFile(new URL("./schema.sql", import.meta.url), "utf8"),
  );
});

test("db/README.md describes each function that a service executes in another service's schema", async () => {
  const readme = await readFile(new URL("./README.md", import.meta.url), "utf8");
  const described = [...readme.matchAll(/^\| `([a-z]+\.[a-z_]+)` \| ([a-z]+), /gm)].map(
    ([, name, caller]) => `${name} by ${caller}`,
  );
  const crossing = (await readGrants(database.url()))
    .filter(({ object, role }) => {
      const schema = /^function ([a-z]+)\./.exec(object)?.[1];
      return schema !== undefined && role !== `easycron_${schema}`;
    })
    .map(({ object, role }) => `${object.replace("function ", "")} by ${role.replace("easycron_", "")}`);
  expect(crossing.length).toBeGreaterThan(0);
  expect(described.sort()).toEqual(crossing.sort());
});

const ALL = "delete, insert, select, update";

/** What every service checks before it serves. */
const EVERY_SERVICES = { "schema public": "usage", "table public.easycron_migrations": "select" };

/** Functions through which the scheduler reads and changes triggers; db/README.md describes each. */
const SCHEDULERS_FUNCTIONS = [
  "audit_triggers",
  "busy_jobs",
  "cancel",
  "catchup_end",
  "count_replayable",
  "discard",
  "exhausted_since_success",
  "find_trigger",
  "handed_over",
  "last_attempt",
  "lateness",
  "ledger_triggers",
  "ledger_triggers_at",
  "list_signals",
  "live_jobs",
  "redeliver",
  "replay",
  "replayable",
  "retention_floor",
  "take_signals",
  "withdraw",
];

const SCHEDULERS_TABLES = [
  "audits",
  "calendar_versions",
  "calendars",
  "catchup_slots",
  "epochs",
  "failing_jobs",
  "job_calendars",
  "job_facets",
  "jobs",
  "operations",
  "requests",
  "revisions",
  "set_aside",
  "skips",
  "undos",
  "unsettled_calendars",
  "zone_data",
  "zone_offsets",
];

describe("a freshly migrated database grants", () => {
  let grants: readonly Grant[];

  beforeAll(async () => {
    grants = await readGrants(database.url());
  });

  function grantsOf(role: string): Record<string, string> {
    const own = grants.filter((grant) => grant.role === role);
    return Object.fromEntries(own.map(({ object, privileges }) => [object, privileges]));
  }

  test("nothing to any role but the three services', and to everyone only the sight of an empty schema", () => {
    const roles = [...new Set(grants.map(({ role }) => role))].sort();
    expect(roles).toEqual(["easycron_dispatcher", "easycron_gateway", "easycron_scheduler", "public"]);
    expect(grantsOf("public")).toEqual({ "schema public": "usage" });
  });

  test("the gateway its own tables and nothing of another service", () => {
    expect(grantsOf("easycron_gateway")).toEqual({
      ...EVERY_SERVICES,
      "schema gateway": "usage",
      "table gateway.api_keys": ALL,
      "table gateway.plugin_credentials": ALL,
      "table gateway.plugins": ALL,
      "table gateway.projects": ALL,
    });
  });

  test("the scheduler its own tables, and functions of the dispatcher's schema instead of its tables", () => {
    expect(grantsOf("easycron_scheduler")).toEqual({
      ...EVERY_SERVICES,
      "schema scheduler": "usage",
      "schema dispatcher": "usage",
      ...Object.fromEntries(SCHEDULERS_TABLES.map((table) => [`table scheduler.${table}`, ALL])),
      ...Object.fromEntries(SCHEDULERS_FUNCTIONS.map((name) => [`function dispatcher.${name}`, "execute"])),
    });
  });

  test("the dispatcher its own tables, some functions of the scheduler's schema, and the reading of revisions", () => {
    expect(grantsOf("easycron_dispatcher")).toEqual({
      ...EVERY_SERVICES,
      "schema dispatcher": "usage",
      "schema scheduler": "usage",
      "table dispatcher.alert_facts": ALL,
      "table dispatcher.alert_jobs": ALL,
      "table dispatcher.alerts": ALL,
      "table dispatcher.attempts": ALL,
      "table dispatcher.data_keys": "insert, select, update",
      "table dispatcher.instances": ALL,
      "table dispatcher.live_triggers": ALL,
      "table dispatcher.master_key": "insert, select",
      "table dispatcher.project_alerts": ALL,
      "table dispatcher.retention": "insert, select, update",
      "table dispatcher.set_aside": ALL,
      "table dispatcher.signals": "insert, select",
      "table dispatcher.signing_keys": ALL,
      "table dispatcher.signing_keys_version": ALL,
      "table dispatcher.target_secret_counts": "insert, select, update",
      "table dispatcher.target_secrets": "insert, select",
      "table dispatcher.triggers": ALL,
      "function dispatcher.drop_partition": "execute",
      "function dispatcher.fail_if_past": "execute",
      "function dispatcher.is_expired": "execute",
      "function dispatcher.known_floor": "execute",
      "function dispatcher.lateness": "execute",
      "function dispatcher.make_partition": "execute",
      "function dispatcher.note_failure": "execute",
      "function dispatcher.oldest_snapshot": "execute",
      "function dispatcher.use_master_key": "execute",
      "function scheduler.first_undecided": "execute",
      "function scheduler.lock_current": "execute",
      "function scheduler.lock_current_or_skip": "execute",
      "function scheduler.wake_waiting": "execute",
      "function scheduler.watchable_jobs": "execute",
      "function scheduler.watched_calendars": "execute",
      "function scheduler.watched_epochs": "execute",
      "function scheduler.watched_skips": "execute",
      "table scheduler.revisions": "select",
    });
  });
});
