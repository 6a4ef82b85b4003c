import { durationMs } from "@bufbuild/protobuf/wkt";
import { DEFAULT_AFTER_DURATION_MS, DEFAULT_AFTER_EXHAUSTED } from "../changes/job-defaults.ts";
import { readSpecOrNone } from "../job/job.ts";
import type { AutoDisablePolicy } from "./run-of-exhausted.ts";

/** Reads when a job is disabled. A specification from before this field has the defaults. */
export function readAutoDisable(spec: string): AutoDisablePolicy {
  const { autoDisable } = readSpecOrNone(spec);
  const { afterExhausted = 0, afterDuration, off = false } = autoDisable ?? {};
  return {
    afterExhausted: afterExhausted === 0 ? DEFAULT_AFTER_EXHAUSTED : afterExhausted,
    afterMs: afterDuration === undefined ? DEFAULT_AFTER_DURATION_MS : durationMs(afterDuration),
    off,
  };
}
