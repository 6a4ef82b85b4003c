/**
 * Kills processes and bounds how many deliveries are repeated, so nothing else may use the machine meanwhile. It is one of
 * the long tests.
 */
export const KILLING = "test/whole/kill.test.ts";

/**
 * The other tests that take long: that of a year of retention; those that kill the processes of a whole product; that of the
 * metrics, which waits until each has moved; those of the plugins, which run a Kafka, kill brokers and processes again and
 * again, and run whole products; and those of the npm package, which install it and run its examples. `npm run test:long`
 * runs them, and `npm test` does not.
 */
export const LONG_TESTS: readonly string[] = [
  "dev/kafka-server.test.ts",
  "dev/main.with.test.ts",
  "plugins/kafka/**/*.test.ts",
  "plugins/redis/deliver.outage.test.ts",
  "sdk/kafka/**/*.test.ts",
  "sdk/index.examples.test.ts",
  "sdk/package.test.ts",
  "test/frameworks.test.ts",
  "test/retention.year.test.ts",
  "test/plugins/kill.test.ts",
  "test/whole/acknowledgement.kill.test.ts",
  "test/whole/alerts.kill.test.ts",
  "test/whole/disable.kill.test.ts",
  "test/whole/metrics.test.ts",
  "test/whole/plugins.test.ts",
  "test/whole/plugins-docs.test.ts",
  "test/whole/plugins-flow.test.ts",
  "test/whole/replay.kill.test.ts",
  "test/whole/sample-apps.test.ts",
];
