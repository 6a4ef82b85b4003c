import type { Receiver } from "../receiver/create-receiver.ts";

/**
 * Makes the default export of a Cloudflare Worker. Its secrets are in `env`, which a Worker gets with each request, so
 * the receiver is made when the first one comes:
 * `export default toWorker((env) => createReceiver({ secrets: env.EASYCRON_SIGNING_SECRET, onTrigger }));`
 */
export function toWorker<Env extends object>(
  create: (env: Env) => Receiver,
): { readonly fetch: (request: Request, env: Env) => Promise<Response> } {
  const receivers = new WeakMap<Env, Receiver>();
  return {
    fetch: (request, env) => {
      const receiver = receivers.get(env) ?? create(env);
      receivers.set(env, receiver);
      return receiver.fetch(request);
    },
  };
}
