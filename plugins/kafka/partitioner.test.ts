import type { PartitionMetadata } from "kafkajs";
import { expect, test } from "vitest";
import { createPartitioner, PartitionMissingError } from "./partitioner.ts";

const metadata = (count: number): PartitionMetadata[] =>
  Array.from({ length: count }, (_, partitionId) => ({
    partitionErrorCode: 0,
    partitionId,
    leader: 1,
    replicas: [1],
    isr: [1],
  }));

// Source: Apache Kafka, org.apache.kafka.common.utils.UtilsTest.testMurmur2.
test.each([
  ["21", -973_932_308],
  ["foobar", -790_332_482],
  ["a-little-bit-long-string", -985_981_536],
  ["a-little-bit-longer-string", -1_486_304_829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971],
  ["abc", 479_470_107],
])("the key %s is in the partition that Kafka's Java client chooses", (key, hash) => {
  const { create } = createPartitioner();
  for (const count of [1, 3, 7, 12, 1_000]) {
    const message = { key, value: "v" };
    const partition = create()({ topic: "t", partitionMetadata: metadata(count), message });
    expect(partition).toBe((hash & 0x7f_ff_ff_ff) % count);
  }
});

test("a partition that does not exist is an error, not a message that is left out", () => {
  const partitioner = createPartitioner();
  const message = { key: "k", value: "v" };
  partitioner.plan(message, 3);
  const choose = () => partitioner.create()({ topic: "t", partitionMetadata: metadata(3), message });
  expect(choose).toThrow(PartitionMissingError);
  expect(partitioner.chosen(message)).toBeUndefined();
});
