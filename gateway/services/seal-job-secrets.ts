import type { HandlerContext } from "@connectrpc/connect";
import type { DispatcherService } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { secretSlots } from "../../mesh/target-secrets.ts";
import { projectOf } from "../access/caller.ts";
import { toCallOptions } from "./call-options.ts";

/** The most secrets of one call, which the dispatcher seals one after the other. */
const MAX_SECRETS = 2_000;

type Handler<I, O> = (request: I, context: HandlerContext) => Promise<O>;

/**
 * Returns a function that makes a handler replace each secret in the request's jobs by its id before it goes on. The
 * dispatcher stores the secrets encrypted, and nothing if the request is only validated. So no other service has them.
 * A request without a secret goes on at once.
 */
export function createSealing(dispatcher: GrpcClient<typeof DispatcherService>) {
  return <I extends { readonly validateOnly: boolean }, O>(
    jobsOf: (request: I) => readonly (Job | undefined)[],
    next: Handler<I, O>,
  ): Handler<I, O> =>
    (request, context) => {
      const jobs = jobsOf(request);
      // Alerts have no secrets. An update that does not write them may carry some, and the mask hides them from the checks.
      for (const slot of jobs.flatMap((job) => secretSlots(job?.alerts?.target))) slot.clear();
      const slots = jobs.flatMap((job) => secretSlots(job?.target));
      const named = slots.filter((slot) => slot.get() !== undefined);
      if (named.length === 0) return next(request, context);
      const seal = async (): Promise<O> => {
        const excess = named[MAX_SECRETS];
        if (excess !== undefined) {
          const problem = `The request has ${named.length} secrets; send at most ${MAX_SECRETS} in one call.`;
          throw fieldFailure("FIELD_INVALID", `job.${excess.field}`, problem);
        }
        const { projectId } = projectOf(context);
        const secrets = named.map((slot) => slot.get() ?? "");
        const { validateOnly } = request;
        const sealed = await dispatcher.sealSecrets(
          { projectId, secrets, validateOnly },
          toCallOptions(context),
        );
        for (const [index, slot] of named.entries()) slot.set(sealed.ids[index] ?? "");
        return next(request, context);
      };
      return seal();
    };
}

/** Makes a handler remove the secrets and alerts of the request's job, which a preview of its fire times does not need. */
export function withoutSecrets<I, O>(
  next: Handler<I, O>,
  jobOf: (request: I) => Job | undefined,
): Handler<I, O> {
  return (request, context) => {
    const job = jobOf(request);
    for (const slot of secretSlots(job?.target)) slot.clear();
    delete job?.alerts;
    return next(request, context);
  };
}
