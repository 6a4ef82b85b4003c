import { readdirSync, readFileSync } from "node:fs";

const TICKS_PER_SECOND = 100;

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly cpuMicros: number;
}

/** The processes of this machine at one moment. Linux only. */
export interface Processes {
  /**
   * CPU time so far of a process, of its descendants, and of those of its children that have ended, in microseconds.
   * The kernel counts it in steps of 10 ms.
   */
  cpuMicrosOf(rootPid: number): number;
  /**
   * Memory of a process and its descendants, in bytes: the proportional set size, in which a page that several
   * processes share counts once. Null when this user may not read it.
   */
  memoryBytesOf(rootPid: number): number | null;
}

/** Reads the list of processes. */
export function readProcesses(): Processes {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name)))
    .filter((process) => process !== undefined);
  const children = Map.groupBy(all, ({ parent }) => parent);
  const byPid = new Map(all.map((process) => [process.pid, process]));
  const treeOf = (rootPid: number): Process[] => {
    const root = byPid.get(rootPid);
    const tree = root === undefined ? [] : [root];
    for (const { pid } of tree) tree.push(...(children.get(pid) ?? []));
    return tree;
  };
  return {
    cpuMicrosOf: (rootPid) => treeOf(rootPid).reduce((sum, { cpuMicros }) => sum + cpuMicros, 0),
    memoryBytesOf: (rootPid) => {
      const sizes = treeOf(rootPid).map(({ pid }) => readMemory(pid));
      return sizes.includes(null) ? null : sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
    },
  };
}

function readProcess(pid: number): Process | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    // The process has ended since the folder was read.
    return undefined;
  }
  // The second field is the name in parentheses. The name may contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [, parent = 0, , , , , , , , , , user = 0, system = 0, endedUser = 0, endedSystem = 0] =
    fields.map(Number);
  const ticks = user + system + endedUser + endedSystem;
  return { pid, parent, cpuMicros: (ticks / TICKS_PER_SECOND) * 1e6 };
}

function readMemory(pid: number): number | null {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "latin1");
    return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1_024;
  } catch (error) {
    // A process that has ended since has no memory.
    return error instanceof Error && "code" in error && error.code === "EACCES" ? null : 0;
  }
}
