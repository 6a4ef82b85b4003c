import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { alertsListDue, type DueAlertsRow } from "./alerts.sql.ts";

/** Most alerts in flight in all. */
const MAX_IN_FLIGHT = 64;
/** The last places go only to projects that have no alert in flight, so that hanging endpoints do not fill all. */
const MAX_BEFORE_LAST_PLACES = 48;
/** Most alerts in flight of one project. */
const MAX_OF_PROJECT = 4;
/** How many alerts that are due one statement reads, and most such statements in a row. */
const PAGE = 1_000;
const PAGES = 5;
/** Of how many projects the order is remembered in which they had their turns. */
const MAX_REMEMBERED = 10_000;

/** The places of alerts in flight, and who has them. */
export interface Places {
  /** How many alerts are in flight. */
  inFlight: number;
  /** How many of them each project has; no project with none. */
  readonly ofProject: Map<string, number>;
  /** The projects that had a place lately, the latest last, with the number of that turn. */
  readonly turns: Map<string, number>;
  lastTurn: number;
}

/** Makes places that nobody has. */
export function createPlaces(): Places {
  return { inFlight: 0, ofProject: new Map(), turns: new Map(), lastTurn: 0 };
}

/** Gives a place to an alert of a project. */
export function enter(places: Places, projectId: string): void {
  const { ofProject, turns } = places;
  places.inFlight += 1;
  ofProject.set(projectId, (ofProject.get(projectId) ?? 0) + 1);
  turns.delete(projectId);
  turns.set(projectId, ++places.lastTurn);
  const [oldest] = turns.keys();
  if (turns.size > MAX_REMEMBERED && oldest !== undefined) turns.delete(oldest);
}

/** Takes a place back that a project has. */
export function leave(places: Places, projectId: string): void {
  const { ofProject } = places;
  places.inFlight -= 1;
  const left = (ofProject.get(projectId) ?? 1) - 1;
  if (left === 0) ofProject.delete(projectId);
  else ofProject.set(projectId, left);
}

/**
 * Lists the alerts to be sent at `nowMs`, as many as there are places. Projects without an alert in flight are read by
 * themselves, so that the backlogs of the others do not hide them. Throws SERVICE_UNAVAILABLE.
 */
export async function listDue(database: Database, places: Places, nowMs: number): Promise<string[]> {
  if (places.inFlight >= MAX_IN_FLIGHT) return [];
  const busy = [...places.ofProject.keys()];
  const due = await readPages(database, nowMs, busy);
  const full = busy.filter((id) => (places.ofProject.get(id) ?? 0) >= MAX_OF_PROJECT);
  if (places.inFlight < MAX_BEFORE_LAST_PLACES && full.length < busy.length) {
    const without = [...full, ...due.map(({ project_id }) => project_id)];
    due.push(...(await readPages(database, nowMs, without)));
  }
  return pick(places, due);
}

/**
 * Reads what is due of the projects, except `without`. A project with very many due alerts fills a page, and the next page
 * leaves it out: so the alerts of the others do not wait until its own are sent.
 */
async function readPages(
  database: Database,
  nowMs: number,
  without: readonly string[],
): Promise<DueAlertsRow[]> {
  const due: DueAlertsRow[] = [];
  for (let page = 0; page < PAGES; page++) {
    const leftOut = [...without, ...due.map(({ project_id }) => project_id)];
    const rows = await database.query(alertsListDue, [toSqlTime(nowMs), MAX_OF_PROJECT, leftOut, PAGE]);
    due.push(...rows);
    if (rows.reduce((sum, { seen }) => sum + seen, 0) < PAGE) break;
  }
  return due;
}

/**
 * Picks the alerts that get the free places: each goes to a project with the fewest alerts in flight, and among these to the
 * one whose last turn is the longest ago.
 */
function pick({ inFlight, ofProject, turns }: Places, due: readonly DueAlertsRow[]): string[] {
  const projects = due
    .map(({ project_id: id, ids }) => ({
      ids,
      count: ofProject.get(id) ?? 0,
      turn: turns.get(id) ?? 0,
      next: 0,
    }))
    .sort((a, b) => a.turn - b.turn);
  const picked: string[] = [];
  for (let count = 0; count < MAX_OF_PROJECT; count++) {
    const max = count === 0 ? MAX_IN_FLIGHT : MAX_BEFORE_LAST_PLACES;
    for (const project of projects) {
      if (inFlight + picked.length >= max) break;
      const id = project.ids[project.next];
      if (project.count > count || id === undefined) continue;
      picked.push(id);
      project.count += 1;
      project.next += 1;
    }
  }
  return picked;
}
