import { describe, expect, test } from "vitest";
import { randomFrom, seedOf } from "../../test/support/seed.ts";
import { chooseNode, hashOf, type Node } from "./rendezvous.ts";

const KEYS = 40_000;
const random = randomFrom(seedOf("EASYCRON_RENDEZVOUS_SEED"));
const letter = () => "0123456789abcdefghjkmnpqrstvwxyz"[Math.floor(random() * 32)];
const keys = Array.from({ length: KEYS }, () => hashOf(`job_${Array.from({ length: 26 }, letter).join("")}`));

/** Addresses that differ in one digit only, and others. */
const nodesOf = (count: number): Node[] => {
  const port = 1_024 + Math.floor(random() * 60_000);
  const sameHost = Array.from({ length: count }, (_, index) => `127.0.0.1:${port + index}`);
  const samePort = Array.from({ length: count }, (_, index) => `10.0.${index}.7:${port}`);
  return (random() < 0.5 ? sameHost : samePort).map((address) => ({ hash: hashOf(address) }));
};

const sharesOf = (nodes: readonly Node[]): number[] => {
  const counts = new Map(nodes.map((node) => [node, 0]));
  for (const key of keys) {
    const node = chooseNode(key, nodes);
    if (node !== undefined) counts.set(node, (counts.get(node) ?? 0) + 1);
  }
  return [...counts.values()].map((count) => count / KEYS);
};

describe("the choice of a node", () => {
  test("gives each of 2, 3, 4 and 8 nodes its share, within 3 percent of all keys", () => {
    for (const count of [2, 3, 4, 8]) {
      for (let round = 0; round < 10; round++) {
        for (const share of sharesOf(nodesOf(count))) expect(Math.abs(share - 1 / count)).toBeLessThan(0.03);
      }
    }
  });

  test("moves only the keys of a node that goes, and the keys that a node gets that comes", () => {
    for (const count of [2, 4, 8]) {
      const nodes = nodesOf(count);
      const without = nodes.slice(1);
      let moved = 0;
      for (const key of keys) {
        const before = chooseNode(key, nodes);
        const after = chooseNode(key, without);
        if (before === nodes[0]) moved += 1;
        else expect(after).toBe(before);
      }
      expect(Math.abs(moved / KEYS - 1 / count)).toBeLessThan(0.03);
    }
  });

  test("spreads the keys of a node that goes over all others", () => {
    const nodes = nodesOf(5);
    const counts = new Map<Node | undefined, number>();
    for (const key of keys) {
      if (chooseNode(key, nodes) !== nodes[0]) continue;
      const next = chooseNode(key, nodes.slice(1));
      counts.set(next, (counts.get(next) ?? 0) + 1);
    }
    expect(counts.size).toBe(4);
    for (const count of counts.values()) expect(Math.abs(count / (KEYS / 5) - 0.25)).toBeLessThan(0.05);
  });

  test("is none when there is no node", () => {
    expect(chooseNode(1, [])).toBeUndefined();
  });
});
