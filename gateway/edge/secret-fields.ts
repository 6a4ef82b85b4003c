import type { DescField, DescMessage } from "@bufbuild/protobuf";

/**
 * Whether a value at a field may be a secret: the field is write-only (`debug_redact`), or it is a message that holds
 * secrets. An error does not show such a value.
 */
export function mayBeSecret(field: DescField): boolean {
  return isRedacted(field) || (field.message !== undefined && holdsSecrets(field.message));
}

const known = new Map<DescMessage, boolean>();

/**
 * Whether a message has a write-only field, itself or in a message of it. A name that it does not know may be the
 * misspelt name of a secret.
 */
export function holdsSecrets(schema: DescMessage): boolean {
  const before = known.get(schema);
  if (before !== undefined) return before;
  const holds = schema.fields.some((field) => isRedacted(field) || field.message?.fields.some(isRedacted));
  known.set(schema, holds);
  return holds;
}

function isRedacted(field: DescField): boolean {
  return field.proto.options?.debugRedact === true;
}
