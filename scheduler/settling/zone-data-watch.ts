import { toIso } from "../../mesh/iso-time.ts";
import type { Logger } from "../../mesh/logger.ts";
import type { Parts } from "../parts.ts";
import { ownRelease } from "../zones/zone-data.ts";
import { keepFirstRelease, recordRelease } from "../zones/zone-data-record.ts";
import type { SettleParts } from "./calendars-settle.ts";
import { settleZoneData } from "./zone-data-settle.ts";

const EVERY_MS = 5_000;
/** The pause between storing two zones. All 600 zones then take half a minute, and no tick waits for them. */
const KEEP_PAUSE_MS = 50;

/** What recording a release takes. */
type ZoneDataParts = Pick<Parts, "database" | "clock" | "zoneData">;

/**
 * Records the zone database release of this process, and reads the releases that others have recorded. If the release
 * is new and changes any zone, it logs which zones change and when it takes effect: `noticeMs` from now.
 */
export async function beginZoneData(parts: ZoneDataParts, noticeMs: number, logger: Logger): Promise<void> {
  const release = ownRelease();
  const recorded = await recordRelease(parts.database, release, { nowMs: parts.clock.now(), noticeMs });
  if (recorded.changed.length > 0) {
    const { changed: timeZones, effectiveMs } = recorded;
    const effectiveTime = toIso(effectiveMs);
    const facts = { zoneDataVersion: release.version, effectiveTime, timeZones };
    logger.warn(
      facts,
      "a new release of the time zone database will move fire times; ListZoneDataImpacts lists them",
    );
  }
  await parts.zoneData.refresh();
}

/**
 * Every five seconds reads the releases that others have recorded, and settles jobs and calendars after a release has
 * taken effect. A failure is logged, and the next round tries again.
 */
export function watchZoneData(parts: SettleParts, logger: Logger): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;
  const keeping = keepFirstRelease(parts.database, ownRelease(), { pauseMs: KEEP_PAUSE_MS, signal }).catch(
    (error: unknown) => {
      if (!signal.aborted)
        logger.warn(
          { err: error },
          "cannot store the zone data in effect completely; trying again at the next start",
        );
    },
  );
  let running: Promise<void> = Promise.resolve();
  const refreshAndSettle = async () => {
    try {
      await parts.zoneData.refresh();
      const jobs = await settleZoneData(parts);
      if (jobs > 0) logger.info({ jobs }, "jobs have a new revision under the zone data that took effect");
    } catch (error) {
      if (!signal.aborted)
        logger.warn({ err: error }, "cannot refresh or settle the zone data; trying again in five seconds");
    }
  };
  let busy = false;
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    running = refreshAndSettle().finally(() => {
      busy = false;
    });
  }, EVERY_MS);
  timer.unref();
  return {
    stop: async () => {
      clearInterval(timer);
      stopping.abort();
      await Promise.all([running, keeping]);
    },
  };
}
