// The physical limit, as a program that runs in its own process: a sorted list in memory, one timer, and signed
// requests over 64 kept-alive connections. Nothing is stored, scheduled or retried. The parent sends a FloorOrder over
// IPC, and the program answers when all requests are answered. It first sends some thousand requests that are due in
// 1970, so that its code is compiled, and it is used for all runs.
import type { FloorOrder, FloorResult } from "./floor.ts";
import { openSignedPosts, type Post } from "./signed-post.ts";

const CONNECTIONS = 64;
const [url = "", warmUpRequests = "0"] = process.argv.slice(2);
const posts = openSignedPosts(url);
let orders = 0;
let onAnswer = (_post: Post): void => {};
const connections = Array.from({ length: CONNECTIONS }, (): Post => {
  const post = posts.open(() => onAnswer(post));
  return post;
});

if (Number(warmUpRequests) > 0) await run({ dueMs: [0], count: Number(warmUpRequests), spins: false });
process.on("message", async (order: FloorOrder) => process.send?.(await run(order)));
process.on("disconnect", () => process.exit(0));
process.send?.({});

function run({ dueMs, count, spins }: FloorOrder): Promise<FloorResult> {
  const { promise, resolve } = Promise.withResolvers<FloorResult>();
  const prefix = `floor-${orders++}-`;
  const total = dueMs.length * count;
  const before = process.cpuUsage();
  let next = 0;
  let answered = 0;
  let isWaiting = false;
  const idle = [...connections];
  const wake = () => {
    isWaiting = false;
    pump();
  };
  const pump = () => {
    while (next < total && idle.length > 0 && !isWaiting) {
      const due = dueMs[Math.floor(next / count)] ?? 0;
      const waitMs = due - Date.now();
      if (waitMs > 0) {
        isWaiting = true;
        // A timer of Node may fire a part of a millisecond early, so the time is looked at again.
        if (!spins || waitMs > 2) setTimeout(wake, spins ? waitMs - 2 : waitMs);
        else setImmediate(wake);
        return;
      }
      idle.pop()?.(prefix + next++, due);
    }
  };
  onAnswer = (post) => {
    idle.push(post);
    answered += 1;
    if (answered < total) return pump();
    const { user, system } = process.cpuUsage(before);
    resolve({ cpuMicros: user + system });
  };
  pump();
  return promise;
}
