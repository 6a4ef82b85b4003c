import { Admin } from "@platformatic/kafka";
import type { SharedKafka } from "../../../test/support/kafka.ts";

/** Returns the quotas that Kafka has for a user, whatever the client id. */
export async function readQuotas(kafka: SharedKafka, user: string): Promise<Record<string, number>> {
  const { brokers, username, password } = kafka;
  const sasl = { mechanism: "SCRAM-SHA-512" as const, username, password };
  const client = new Admin({ clientId: "test", bootstrapBrokers: brokers.split(","), sasl, retries: 0 });
  try {
    const components = [{ entityType: "user" as const, matchType: 0 as const, match: user }];
    const entries = await client.describeClientQuotas({ components, strict: false });
    return Object.fromEntries(entries.flatMap(({ values }) => values.map(({ key, value }) => [key, value])));
  } finally {
    await client.close();
  }
}
