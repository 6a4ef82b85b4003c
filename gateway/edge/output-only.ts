import type { DescField } from "@bufbuild/protobuf";

/**
 * The fields that only the server sets, by message. A request may carry them, as when a job that was read is sent back;
 * they are ignored. A test compares this list with the comments of the protos.
 */
export const OUTPUT_ONLY: Readonly<Record<string, readonly string[]>> = {
  "easycron.v1.ApiKey": ["id", "create_time", "expire_time", "last_use_time", "revoke_time", "secret_prefix"],
  "easycron.v1.Calendar": ["uid", "version", "create_time", "update_time", "imported_dates"],
  "easycron.v1.CalendarEdgeSchedule": ["snapshot"],
  "easycron.v1.Job": [
    "uid",
    "state",
    "next_fire_time",
    "revision",
    "create_time",
    "update_time",
    "pause_note",
    "pause_until",
    "remaining_fires",
    "problem",
    "disable_reason",
  ],
  "easycron.v1.Plugin": [
    "kind",
    "state",
    "state_reason",
    "endpoint",
    "prefix",
    "usage",
    "credentials",
    "create_time",
    "data_remove_time",
  ],
  "easycron.v1.Project": ["id", "create_time", "retention_floor_time"],
  "easycron.v1.SigningKey": [
    "id",
    "create_time",
    "algorithm",
    "public_key",
    "state",
    "expire_time",
    "revoke_time",
  ],
};

/** Returns whether only the server sets a field. */
export function isOutputOnly(field: DescField): boolean {
  return OUTPUT_ONLY[field.parent.typeName]?.includes(field.name) ?? false;
}
