import { durationMs } from "@bufbuild/protobuf/wkt";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";

/** The parts of a job's specification that SQL statements select jobs by (scheduler.revisions.facets). */
export interface Facets {
  readonly labels: Readonly<Record<string, string>>;
  /** Null if the job has no target. */
  readonly target: "webhook" | "redis" | "kafka" | null;
  /** The time zones of the schedules, each once, sorted. A schedule without a zone is in UTC. */
  readonly zones: readonly string[];
  /**
   * Present if the job has alerts: its `deliveredWithin` in milliseconds, or null. A database trigger of
   * scheduler.revisions reads it, so that dispatchers know the jobs that have alerts.
   */
  readonly alerts?: { readonly withinMs: number | null };
}

type FacetFields = Pick<Job, "labels" | "target" | "schedules" | "alerts">;

/**
 * Returns the facets of a job. They never hold U+0000 or half of a surrogate pair, which `jsonb` refuses: such
 * characters are left out of a text.
 */
export function facetsOf({ labels, target, schedules, alerts }: FacetFields): Facets {
  const zones = schedules.map(({ timeZone }) => (timeZone === "" ? "UTC" : toStorable(timeZone)));
  return {
    labels: Object.fromEntries(
      Object.entries(labels).map(([key, value]) => [toStorable(key), toStorable(value)]),
    ),
    target: target?.kind.case ?? null,
    zones: [...new Set(zones)].sort(),
    ...(alerts === undefined ? {} : { alerts: { withinMs: withinOf(alerts) } }),
  };
}

/** One facet that lists select jobs by, as a filter names it: `labels.team` and its value, or `target` and `redis`. */
export interface ListedFacet {
  readonly facet: string;
  readonly value: string;
}

/** Returns the facets of a job that lists select it by: each label, and the target unless it is a webhook. */
export function listedFacets(job: FacetFields): ListedFacet[] {
  const { labels, target } = facetsOf(job);
  const listed = Object.entries(labels).map(([key, value]) => ({ facet: `labels.${key}`, value }));
  return target === null || target === "webhook" ? listed : [...listed, { facet: "target", value: target }];
}

/** Returns the facets of a job as JSON text for the column. */
export function toFacetsJson(job: FacetFields): string {
  return JSON.stringify(facetsOf(job));
}

function withinOf({ deliveredWithin }: NonNullable<Job["alerts"]>): number | null {
  return deliveredWithin === undefined ? null : durationMs(deliveredWithin);
}

// The gateway refuses these characters. But a specification can be older than that rule.
function toStorable(text: string): string {
  return text.replaceAll("\u0000", "").replaceAll(/\p{Surrogate}/gu, "");
}
