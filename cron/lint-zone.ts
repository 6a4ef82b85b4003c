import type { Warning } from "./warning.ts";
import { ZONE_RENAMES } from "./zone-renames.ts";

/** The names without a place that stand for a fixed offset, in hours. Etc/GMT+5 and the like are read by a pattern. */
const FIXED: Readonly<Record<string, number>> = { EST: -5, MST: -7, HST: -10 };

/**
 * Returns the warning about the name of a schedule's time zone: it stands for a fixed offset, without summer time, or it
 * is an old name of a zone. Null for other names, and for those that mean UTC. `field` is the path to the name.
 */
export function lintZone(name: string, field: string): Warning | null {
  const hours = fixedOffset(name);
  if (hours !== undefined) {
    const side = hours < 0 ? "behind" : "ahead of";
    const sign = name.startsWith("Etc/") ? ", although the sign in its name says the opposite" : "";
    const count = Math.abs(hours) === 1 ? "1 hour" : `${Math.abs(hours)} hours`;
    const message = `The zone ${name} is always ${count} ${side} UTC, in summer too${sign}. If local time is meant, name a place, such as America/New_York.`;
    return { code: "TIME_ZONE_FIXED_OFFSET", field, message };
  }
  const renamed = ZONE_RENAMES.get(name);
  if (renamed === undefined) return null;
  const message = `${name} is an old name, which the time zone database keeps for old programs. The zone's name is ${renamed}.`;
  return { code: "TIME_ZONE_RENAMED", field, message };
}

/** Returns the offset that a name stands for, in hours; undefined when it stands for none, or for UTC. */
function fixedOffset(name: string): number | undefined {
  const hours = /^Etc\/GMT([+-]\d{1,2})$/.exec(name)?.[1];
  const offset = hours === undefined ? FIXED[name] : -Number(hours);
  return offset === 0 ? undefined : offset;
}
