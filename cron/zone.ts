import { ScheduleError } from "./errors.ts";
import { ZONE_LINKS } from "./zone-links.ts";

const known = new Set([...Intl.supportedValuesOf("timeZone"), ...ZONE_LINKS]);
const knownByLowerCase = new Map([...known].map((name) => [name.toLowerCase(), name]));

/**
 * Returns the name if it is exactly the name of an IANA time zone. Link names ("Asia/Kolkata", "UTC") are accepted.
 *
 * Throws a ScheduleError of field "timeZone" for anything else: an offset, "local", another spelling or another case.
 * Intl itself accepts any case and keeps 33 KiB for each, so 3,000 spellings of one zone would cost 100 MiB.
 */
export function canonicalZone(name: string): string {
  if (known.has(name)) return name;
  const meant = name.length <= 64 ? knownByLowerCase.get(name.toLowerCase()) : undefined;
  throw new ScheduleError(
    "timeZone",
    name,
    "is not a time zone",
    meant === undefined ? 'an IANA name such as "UTC" or "Europe/Paris", in its exact case' : `"${meant}"`,
  );
}

/** Returns every accepted zone name, sorted. */
export function zoneNames(): string[] {
  return [...known].sort();
}
