import type { Logger } from "../../mesh/logger.ts";
import type { Parts } from "../parts.ts";
import { ownRelease } from "../zones/zone-data.ts";
import { keepFirstRelease, recordRelease } from "../zones/zone-data-record.ts";
import { settleZoneData } from "./zone-data-settle.ts";

const EVERY_MS = 5_000;
/** Between two zones that are kept, so that all 600 take half a minute and no tick waits. */
const KEEP_PAUSE_MS = 50;

type ZoneDataParts = Pick<Parts, "database" | "clock" | "zoneData">;

/** Records this process's release of the zone database, says what a new one will move and when, and reads the others. */
export async function beginZoneData(parts: ZoneDataParts, noticeMs: number, logger: Logger): Promise<void> {
  const release = ownRelease();
  const recorded = await recordRelease(parts.database, release, { nowMs: parts.clock.now(), noticeMs });
  if (recorded.changed.length > 0) {
    const { changed: timeZones, effectiveMs } = recorded;
    const effectiveTime = new Date(effectiveMs).toISOString();
    const facts = { zoneDataVersion: release.version, effectiveTime, timeZones };
    logger.warn(
      facts,
      "a new release of the time zone database moves fire times; ListZoneDataImpacts tells which",
    );
  }
  await parts.zoneData.refresh();
}

/** Every five seconds reads what others have recorded, and moves what a release in force moves; failures are logged. */
export function watchZoneData(parts: Parts, logger: Logger): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;
  const keeping = keepFirstRelease(parts.database, ownRelease(), { pauseMs: KEEP_PAUSE_MS, signal }).catch(
    (error: unknown) => {
      if (!signal.aborted) logger.warn({ err: error }, "the zone data in force was not kept whole");
    },
  );
  let running: Promise<void> = Promise.resolve();
  const look = async () => {
    try {
      await parts.zoneData.refresh();
      const moved = await settleZoneData(parts);
      if (moved > 0) logger.info({ jobs: moved }, "jobs have a revision by the zone data now in force");
    } catch (error) {
      if (!signal.aborted) logger.warn({ err: error }, "zone data was not looked after");
    }
  };
  let busy = false;
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    running = look().finally(() => {
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
