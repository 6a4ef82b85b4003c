import { toIso } from "../../mesh/iso-time.ts";
import type { Logger } from "../../mesh/logger.ts";
import { type Loop, startLoop } from "../../mesh/loop.ts";
import type { Parts } from "../parts.ts";
import { ownRelease } from "../zones/zone-data.ts";
import { keepFirstRelease, recordRelease } from "../zones/zone-data-record.ts";
import type { FailedJob, SettleParts } from "./job-set.ts";
import { settleZoneData } from "./zone-data-settle.ts";

/** Time between two readings of the releases. */
export const ZONE_DATA_EVERY_MS = 5_000;
/** After this time settling is interrupted, so that the releases are read again, and then goes on. */
const SETTLE_MS = 10_000;
/**
 * The pause after computing a zone, which takes 5 ms. All 600 zones then take five minutes and 1 % of a core. Only zones
 * that were not computed in advance are computed.
 */
const KEEP_PAUSE_MS = 500;

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
 * taken effect. Also stores the zone data of the first release, once. Failures are logged, and the next round tries
 * again.
 */
export function watchZoneData(parts: SettleParts, logger: Logger): Pick<Loop, "stop" | "sinceSuccessMs"> {
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
  const onFailed = (failed: readonly FailedJob[]) => {
    const jobUids = failed.slice(0, 5).map(({ jobUid }) => jobUid);
    logger.error(
      { jobs: failed.length, jobUids, err: failed[0]?.error },
      "jobs cannot be brought up to date with the zone data in effect; trying again in a minute",
    );
  };
  const loop = startLoop(
    async () => {
      await parts.zoneData.refresh();
      const time = AbortSignal.timeout(SETTLE_MS);
      const jobs = await settleZoneData(parts, { signal: AbortSignal.any([signal, time]), onFailed });
      if (jobs > 0) logger.info({ jobs }, "jobs have a new revision under the zone data that took effect");
      return { more: time.aborted };
    },
    {
      everyMs: ZONE_DATA_EVERY_MS,
      onFailure: (error, failures) =>
        logger.warn({ err: error, failures }, "cannot refresh or settle the zone data; trying again"),
      onRecovery: (failures) => logger.info({ failures }, "the zone data is refreshed and settled again"),
    },
  );
  return {
    stop: async () => {
      stopping.abort();
      await Promise.all([loop.stop(), keeping]);
    },
    sinceSuccessMs: loop.sinceSuccessMs,
  };
}
