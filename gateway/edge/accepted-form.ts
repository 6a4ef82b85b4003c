import { type DescEnum, type DescField, ScalarType } from "@bufbuild/protobuf";

const TIME = 'a time such as "2027-01-01T09:00:00Z"';
const DURATION = 'seconds such as "90s" or "1.5s"';

const WELL_KNOWN: Readonly<Record<string, string>> = {
  "google.protobuf.Timestamp": TIME,
  "google.protobuf.Duration": DURATION,
  "google.protobuf.FieldMask": 'field names such as "schedules,endTime"',
  "google.protobuf.Value": "any JSON, nested at most 30 deep",
};

/**
 * Says in which form a field is written in JSON, to follow "accepted: ". Of a list or a map it is the form of one
 * entry.
 */
export function acceptedForm(field: DescField): string {
  if (field.message !== undefined) {
    return WELL_KNOWN[field.message.typeName] ?? `an object, ${field.message.typeName}`;
  }
  if (field.enum !== undefined) return acceptedNames(field.enum);
  return scalarForm(field.scalar);
}

/** Returns the names that an enum accepts, without the UNSPECIFIED one. */
export function acceptedNames({ values }: DescEnum): string {
  return values
    .filter(({ number }) => number !== 0)
    .map(({ name }) => name)
    .join(", ");
}

function scalarForm(scalar: ScalarType | undefined): string {
  if (scalar === ScalarType.STRING) return "a text";
  if (scalar === ScalarType.BOOL) return "true or false";
  if (scalar === ScalarType.INT32) return "a whole number from -2147483648 to 2147483647";
  return scalar === ScalarType.UINT32 ? "a whole number from 0 to 4294967295" : "a whole number";
}
