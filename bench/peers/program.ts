// One peer in a process of its own. Arguments: the peer's module, the sink's URL, and the stores as JSON. The parent
// sends { load: jobs } and { work: true } over IPC, and gets an answer to each.
import { openSignedPosts, type Post } from "../signed-post.ts";
import type { Adapter, Deliver, PeerJob, Stores } from "./adapter.ts";

const [module = "", url = "", storesText = "{}"] = process.argv.slice(2);
const stores = JSON.parse(storesText) as Stores;
const { adapter } = (await import(`./${module}.ts`)) as { readonly adapter: Adapter };

await adapter.reset(stores);
process.on("message", async (order: { readonly load: readonly PeerJob[] } | { readonly work: true }) => {
  if ("load" in order) await adapter.load(stores, order.load);
  else await adapter.work(stores, createDeliver(adapter.connections));
  process.send?.({});
});
process.on("disconnect", () => process.exit(0));
process.send?.({});

/** Delivers over some connections. A job waits while all of them are in use. */
function createDeliver(connections: number): Deliver {
  const posts = openSignedPosts(url);
  const waiting: { readonly job: PeerJob; readonly done: () => void }[] = [];
  const idle = Array.from({ length: connections }, () => {
    let done = (): void => {};
    const post: Post = posts.open(() => {
      const answered = done;
      const next = waiting.shift();
      if (next === undefined) idle.push(send);
      else send(next.job, next.done);
      answered();
    });
    const send = ({ id, dueMs }: PeerJob, onAnswer: () => void): void => {
      done = onAnswer;
      post(id, dueMs);
    };
    return send;
  });
  return (job) =>
    new Promise((done) => {
      const send = idle.pop();
      if (send === undefined) waiting.push({ job, done });
      else send(job, done);
    });
}
