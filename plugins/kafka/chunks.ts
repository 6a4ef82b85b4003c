/**
 * The most bytes of records in one request. Kafka refuses a batch of records of a partition that is larger than
 * `message.max.bytes`, 1 MiB by default. So only a record that is too large alone is refused for its size.
 */
const MAX_CHUNK_BYTES = 786_432;

/** Splits records into parts of at most 768 KiB, in their order. A larger record is a part of its own. */
export function toChunks<T extends { readonly bytes: number }>(records: readonly T[]): T[][] {
  const chunks: T[][] = [];
  let room = 0;
  for (const record of records) {
    const last = chunks.at(-1);
    if (last === undefined || record.bytes > room) {
      chunks.push([record]);
      room = MAX_CHUNK_BYTES - record.bytes;
    } else {
      last.push(record);
      room -= record.bytes;
    }
  }
  return chunks;
}
