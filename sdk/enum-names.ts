import type { DescEnum, DescEnumValue } from "@bufbuild/protobuf";

/** Returns the name of an enum's value without the enum's prefix: PAUSED for JOB_STATE_PAUSED. */
export function nameOfValue(desc: DescEnum, value: DescEnumValue): string {
  const zero = desc.values.find(({ number }) => number === 0)?.name ?? "";
  return value.name.slice(zero.length - "UNSPECIFIED".length);
}
