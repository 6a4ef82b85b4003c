import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { identityOf } from "./processes.ts";
import { type ProgramEvent, type RestartPolicy, type Supervised, supervise } from "./supervisor.ts";

const policy: RestartPolicy = { minMs: 1, maxMs: 4, resetAfterMs: 60_000, readyWithinMs: 10_000 };
const running: Supervised[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((supervised) => supervised.stop(0)));
});

/** Supervises a shell script that is ready when it prints "ready". Tests can wait for its events. */
function superviseScript(scripts: readonly string[], overrides: Partial<RestartPolicy> = {}) {
  const events: ProgramEvent[] = [];
  const children: ChildProcess[] = [];
  const waiting = new Set<() => void>();
  const program = {
    name: "fake-0",
    start: () => {
      // The last script is for all further starts.
      const script = scripts[Math.min(children.length, scripts.length - 1)] ?? "";
      const child = spawn("/bin/sh", ["-c", script], { stdio: ["ignore", "pipe", "ignore"], detached: true });
      children.push(child);
      return child;
    },
    watchReady: (child: ChildProcess, ready: () => void) => {
      child.stdout?.once("data", ready);
    },
  };
  const onEvent = (event: ProgramEvent) => {
    events.push(event);
    for (const check of waiting) check();
  };
  const supervised = supervise(program, onEvent, { ...policy, ...overrides });
  running.push(supervised);
  /** Resolves with the events of a kind when there are `count` of them. */
  const untilEvents = <K extends ProgramEvent["kind"]>(kind: K, count: number) =>
    new Promise<Extract<ProgramEvent, { kind: K }>[]>((done) => {
      const check = () => {
        const found = events.filter((event) => event.kind === kind);
        if (found.length < count) return;
        waiting.delete(check);
        done(found as Extract<ProgramEvent, { kind: K }>[]);
      };
      waiting.add(check);
      check();
    });
  return { supervised, children, events, untilEvents };
}

const SERVE = "echo ready; exec sleep 1000";

describe("a supervised program", () => {
  test("is restarted when it is killed, and becomes ready again", async () => {
    const { supervised, untilEvents } = superviseScript([SERVE]);
    await supervised.untilReady();
    const first = supervised.pid() ?? 0;
    process.kill(first, "SIGKILL");
    await untilEvents("ended", 1);
    expect(supervised.pid()).toBeUndefined();
    await supervised.untilReady();
    expect(supervised.pid()).not.toBe(first);
    expect((await untilEvents("ready", 2)).length).toBe(2);
  });

  test("is restarted after longer and longer pauses while it keeps ending", async () => {
    const { untilEvents } = superviseScript(["echo ready; read -r never", "exit 3"]);
    const ended = await untilEvents("ended", 5);
    expect(ended.map(({ restartInMs }) => restartInMs)).toEqual([1, 2, 4, 4, 4]);
    expect(ended.at(-1)).toMatchObject({ exitCode: 3, how: "ended with code 3" });
  });

  test("is restarted after the shortest pause again when it ran long enough", async () => {
    const { untilEvents } = superviseScript(["echo ready"], { resetAfterMs: 0 });
    const ended = await untilEvents("ended", 4);
    expect(ended.map(({ restartInMs }) => restartInMs)).toEqual([1, 1, 1, 1]);
  });

  test("is not restarted when it ends before it was ever ready", async () => {
    const { supervised, events, children } = superviseScript(["exit 2"]);
    await expect(supervised.untilReady()).rejects.toMatchObject({
      message: "fake-0 ended with code 2",
      exitCode: 2,
    });
    expect(events.map(({ kind }) => kind)).toEqual(["started", "ended"]);
    expect(children.length).toBe(1);
  });

  test("is killed and not restarted when it is not ready in time", async () => {
    const { supervised, untilEvents } = superviseScript(["exec sleep 1000"], { readyWithinMs: 20 });
    await expect(supervised.untilReady()).rejects.toThrow("fake-0 was not ready within 0.02 s");
    expect(await untilEvents("ended", 1)).toMatchObject([{ how: "was ended by SIGKILL" }]);
  });

  test("reports why when it cannot be started at all", async () => {
    const program = {
      name: "missing-0",
      start: () => spawn("/does/not/exist"),
      watchReady: () => {},
    };
    await expect(supervise(program).untilReady()).rejects.toThrow(
      /^missing-0 could not be started: .*ENOENT/,
    );
  });
});

describe("stopping a supervised program", () => {
  test("sends the stop signal first, and waits until the process has ended", async () => {
    const { supervised, children, events } = superviseScript([
      "trap 'exit 0' TERM; echo ready; read -r never; while :; do sleep 1; done",
    ]);
    await supervised.untilReady();
    const pid = supervised.pid() ?? 0;
    await supervised.stop(10_000);
    expect(identityOf(pid)).toBeUndefined();
    expect(children[0]?.exitCode).toBe(0);
    expect(events.map(({ kind }) => kind)).toEqual(["started", "ready", "ended"]);
  });

  test("sends the stop signal again, so that the process hurries", async () => {
    const { supervised, children } = superviseScript([
      "n=0; trap 'n=$((n+1)); [ $n -lt 2 ] || exit 0' TERM; echo ready; while :; do sleep 0.02; done",
    ]);
    await supervised.untilReady();
    // Two signals that come before the shell has run its trap count as one, so the second one comes much later.
    await supervised.stop(10_000, 1_000);
    expect(children[0]?.exitCode).toBe(0);
  });

  test("kills a process that ignores the stop signal", async () => {
    const { supervised, children } = superviseScript(["trap '' TERM; echo ready; while :; do sleep 1; done"]);
    await supervised.untilReady();
    await supervised.stop(20);
    expect(children[0]?.signalCode).toBe("SIGKILL");
  });

  test("while it waits for a restart cancels the restart", async () => {
    const { supervised, untilEvents, children } = superviseScript([SERVE], { minMs: 60_000, maxMs: 60_000 });
    await supervised.untilReady();
    process.kill(supervised.pid() ?? 0, "SIGKILL");
    await untilEvents("ended", 1);
    await supervised.stop(0);
    expect(children.length).toBe(1);
    await expect(supervised.untilReady()).rejects.toThrow("was stopped");
  });

  test("twice at once resolves both calls when the process has ended", async () => {
    const { supervised } = superviseScript([SERVE]);
    await supervised.untilReady();
    const child = running.length;
    await Promise.all([supervised.stop(1_000), supervised.stop(1_000)]);
    expect(child).toBe(1);
  });
});

test("a process that ends causes exactly one ended event", async () => {
  const { supervised, children, untilEvents, events } = superviseScript([SERVE]);
  await supervised.untilReady();
  const [child] = children;
  if (child === undefined) throw new Error("not started");
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
  await untilEvents("ready", 2);
  expect(events.filter(({ kind }) => kind === "ended").length).toBe(1);
});
