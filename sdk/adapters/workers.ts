import type { Receiver } from "../receiver/create-receiver.ts";

/**
 * Makes the default export of a Cloudflare Worker. Its secrets are in `env`, which a Worker gets with each request, so
 * the receiver is made when the first one comes:
 * `export default toWorker((env) => createReceiver({ secrets: env.EASYCRON_SIGNING_SECRET, onTrigger }));`
 *
 * @example
 * ```ts
 * const secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
 * const worker = toWorker((env: { SECRET: string }) =>
 *   createReceiver({ secrets: env.SECRET, onTrigger: () => {} }),
 * );
 * const { status } = await worker.fetch(signTrigger({ secret }).request(), { SECRET: secret });
 * console.log(status); // 204
 * ```
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
