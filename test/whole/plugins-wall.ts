import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect } from "vitest";
import { type Connections, ELSEWHERE } from "../support/sockets.ts";

const PAGE = resolve(import.meta.dirname, "../../docs/isolation.md");
const BEGIN = "<!-- The test of the whole product writes this table: begin -->";
const END = "<!-- The test of the whole product writes this table: end -->";

/** The processes of the table: those of the control plane, the data plane, and the brokers. */
const ROWS = ["gateway", "scheduler", "dispatcher", "plugins", "redis", "kafka", "postgres"];
const BROKERS = ["redis", "kafka"];

/**
 * Expects that only plugin delivery has connections to the brokers, that it has no others, and that the table in
 * docs/isolation.md shows who connects to whom. Prints how many connections there are. With EASYCRON_WRITE_DOCS=1 it
 * writes the table.
 */
export function expectTheWall(connections: Connections): void {
  console.log(`who connects to whom, while triggers flow into both plugins:\n${toCounts(connections)}`);
  for (const service of ["gateway", "scheduler", "dispatcher"]) {
    expect(peersOf(connections, service).filter((peer) => BROKERS.includes(peer))).toEqual([]);
  }
  expect(peersOf(connections, "plugins")).toEqual(["kafka", "redis"]);
  const table = toTable(connections);
  const page = readFileSync(PAGE, "utf8");
  const [head = "", rest = ""] = page.split(BEGIN);
  const [shown = "", tail = ""] = rest.split(END);
  if (process.env.EASYCRON_WRITE_DOCS === "1") {
    writeFileSync(PAGE, `${head}${BEGIN}\n\n${table}\n\n${END}${tail}`);
  } else expect(shown.trim()).toBe(table);
}

/** Returns one line for each process: to what it has how many connections. */
export function toCounts(connections: Connections): string {
  return ROWS.flatMap((name) => {
    const peers = connections.get(name);
    if (peers === undefined) return [];
    const counts = [...peers].toSorted().map(([peer, count]) => `${peer} ${count}`);
    return `${name.padEnd(10)} → ${counts.join(", ") || "nothing"}`;
  }).join("\n");
}

function peersOf(connections: Connections, name: string): string[] {
  return [...(connections.get(name)?.keys() ?? [])].toSorted();
}

function toTable(connections: Connections): string {
  const lines = ROWS.map((name) => {
    const peers = peersOf(connections, name).filter((peer) => peer !== ELSEWHERE);
    return `| ${name} | ${peers.join(", ") || "nothing"} |`;
  });
  return ["| process | has connections to |", "| --- | --- |", ...lines].join("\n");
}
