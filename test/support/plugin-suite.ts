/**
 * The tests of the plugins that take long: they kill processes and brokers again and again, and run whole products with a
 * Redis and a Kafka. `npm run test:plugins` runs them, and `npm test` does not.
 */
export const PLUGIN_SUITE: readonly string[] = [
  "plugins/kafka/kafka.*.test.ts",
  "plugins/redis/deliver.outage.test.ts",
  "test/plugins/kill.test.ts",
  "test/whole/plugins.test.ts",
  "test/whole/plugins-docs.test.ts",
  "test/whole/plugins-flow.test.ts",
];
