import { isDeepStrictEqual } from "node:util";
import { clone } from "@bufbuild/protobuf";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import { TargetSchema } from "../../gen/easycron/v1/target_pb.ts";
import { type EasyCronError, fieldFailure } from "../../mesh/errors.ts";
import { isSecretId, secretSlots } from "../../mesh/target-secrets.ts";

/*
 * The gateway replaces each secret by its id before a job comes here. So a specification holds ids only, and nobody can
 * read a secret from it.
 */

/**
 * Returns a job in which each secret that is not named has the id of the former one, if the URLs that it is sent to have the
 * same origins, and a key if its certificate is the same. With another origin the secret must be named again: else whoever may
 * update a job could have its secret sent to themselves.
 */
export function keepSecrets(before: Pick<Job, "target">, given: Job): Job {
  if (secretSlots(given.target).every((slot) => slot.get() !== undefined)) return given;
  const former = secretSlots(before.target);
  if (given.target === undefined || former.length === 0) return given;
  const target = clone(TargetSchema, given.target);
  for (const slot of secretSlots(target)) {
    const known = former.find(({ field, isFor }) => field === slot.field && isForSame(isFor, slot.isFor));
    const id = known?.get();
    if (slot.get() === undefined && id !== undefined) slot.set(id);
  }
  return { ...given, target };
}

/** Removes the ids of secrets from a job that is shown to a customer. */
export function dropSecrets(job: Job): void {
  if (job.target === undefined || secretSlots(job.target).length === 0) return;
  // The target may be a part of another job, too.
  job.target = clone(TargetSchema, job.target);
  for (const slot of secretSlots(job.target)) slot.clear();
}

/**
 * Returns FIELD_INVALID for each secret that is missing. Throws if a place of a secret holds anything but an id, because
 * a secret in plain text must never be stored.
 */
export function secretErrors(job: Pick<Job, "target" | "alerts">): EasyCronError[] {
  if (secretSlots(job.alerts?.target).length > 0)
    throw new Error("The gateway has sent a secret in job.alerts.target, which may have none.");
  return secretSlots(job.target).flatMap((slot) => {
    const id = slot.get();
    if (id === undefined) return [fieldFailure("FIELD_INVALID", `job.${slot.field}`, REQUIRED)];
    if (!isSecretId(id)) throw new Error(`The gateway has sent job.${slot.field} in plain text.`);
    return [];
  });
}

const REQUIRED =
  "It is required: the job has no such secret yet, or the URL's origin, or the certificate, differs from the one that the secret was given for.";

function isForSame(former: readonly string[], given: readonly string[]): boolean {
  const originsOf = (texts: readonly string[]) => texts.map((text) => URL.parse(text)?.origin ?? text);
  return isDeepStrictEqual(originsOf(former), originsOf(given));
}
