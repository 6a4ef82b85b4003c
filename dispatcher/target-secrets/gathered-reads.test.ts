import { expect, test } from "vitest";
import { gatherReads } from "./gathered-reads.ts";

interface Key {
  readonly owner: string;
  readonly id: number;
}

const nameOf = ({ owner, id }: Key) => `${owner}/${id}`;

/** Reads that note their batches and answer when they are told to. */
function createReads(most: number, atOnce: number) {
  const batches: string[][] = [];
  const answers: PromiseWithResolvers<Map<string, string | Error>>[] = [];
  const read = (keys: readonly Key[]) => {
    batches.push(keys.map(nameOf));
    const answer = Promise.withResolvers<Map<string, string | Error>>();
    answers.push(answer);
    return answer.promise;
  };
  const reads = gatherReads<Key, string>({ read, nameOf, ownerOf: ({ owner }) => owner, most, atOnce });
  const answer = (index: number) =>
    answers[index]?.resolve(new Map(batches[index]?.map((name) => [name, name.toUpperCase()])));
  return { batches, answers, answer, load: reads.load };
}

test("keys that are asked for together are read together, each once", async () => {
  const { batches, answer, load } = createReads(10, 1);
  const loaded = Promise.all([1, 2, 1].map((id) => load({ owner: "a", id })));
  await Promise.resolve();
  const again = load({ owner: "a", id: 2 });
  answer(0);
  expect(await loaded).toEqual(["A/1", "A/2", "A/1"]);
  expect(await again).toBe("A/2");
  expect(batches).toEqual([["a/1", "a/2"]]);
});

test("an owner with many keys does not delay another, and not more batches run than may", async () => {
  const { batches, answer, load } = createReads(4, 1);
  const many = Array.from({ length: 10 }, (_, id) => load({ owner: "many", id }));
  await Promise.resolve();
  const one = load({ owner: "one", id: 1 });
  await Promise.resolve();
  expect(batches).toHaveLength(1);
  answer(0);
  await many[3];
  await Promise.resolve();
  expect(batches[1]).toContain("one/1");
  answer(1);
  expect(await one).toBe("ONE/1");
  await many[6];
  answer(2);
  expect(await Promise.all(many)).toHaveLength(10);
  expect(batches.map(({ length }) => length)).toEqual([4, 4, 3]);
});

test("a key whose value cannot be read fails alone, and is read again when it is asked for again", async () => {
  const { answers, answer, load } = createReads(10, 1);
  const loaded = Promise.allSettled([1, 2, 3].map((id) => load({ owner: "a", id })));
  await Promise.resolve();
  answers[0]?.resolve(
    new Map<string, string | Error>([
      ["a/1", "one"],
      ["a/2", new Error("damaged")],
    ]),
  );
  expect(await loaded).toMatchObject([
    { value: "one" },
    { reason: { message: "damaged" } },
    { reason: { message: "Nothing was read for a/3." } },
  ]);
  const again = load({ owner: "a", id: 2 });
  await Promise.resolve();
  answer(1);
  expect(await again).toBe("A/2");
});

test("when a batch fails, all its keys fail, and the next batch is read", async () => {
  const { answers, answer, load } = createReads(2, 1);
  const loaded = Promise.allSettled([1, 2, 3].map((id) => load({ owner: "a", id })));
  await Promise.resolve();
  answers[0]?.reject(new Error("away"));
  await expect(load({ owner: "a", id: 1 })).rejects.toThrow("away");
  answer(1);
  const reason = { message: "away" };
  expect(await loaded).toMatchObject([{ reason }, { reason }, { value: "A/3" }]);
});
