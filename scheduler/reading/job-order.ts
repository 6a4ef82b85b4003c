import { toSqlTime } from "../../db/time.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import { type ListIdentity, pageTokenInvalid, readPageToken, toPageToken } from "../../mesh/page-token.ts";
import { type ListedRow, type OrderStatements, orderStatements } from "./list-jobs.sql.ts";

/** An order of jobs. Jobs with the same time are ordered by name. */
export interface JobOrder {
  readonly statements: OrderStatements;
  readonly isByTime: boolean;
  readonly isDescending: boolean;
}

/** A place in an order: a page begins after it. It need not be the place of a job. */
export interface OrderPlace {
  readonly name: string;
  /** The time as PostgreSQL reads it; undefined if the order is by name. */
  readonly time?: string;
}

/** A text before, and one after, all names. */
export const BEFORE_NAMES = "";
export const AFTER_NAMES = "~";

const byName = { isByTime: false, isDescending: false };
const byTime = { isByTime: true, isDescending: false };
const ORDERS: ReadonlyMap<string, JobOrder> = new Map<string, JobOrder>([
  ["name", { statements: orderStatements.byName, ...byName }],
  ["name desc", { statements: orderStatements.byNameDescending, ...byName, isDescending: true }],
  ["create_time", { statements: orderStatements.byCreateTime, ...byTime }],
  ["create_time desc", { statements: orderStatements.byCreateTimeDescending, ...byTime, isDescending: true }],
  ["next_fire_time", { statements: orderStatements.byNextFireTime, ...byTime }],
]);

/** Returns the order that a request names; by name if it names none. Throws FIELD_INVALID. */
export function readOrder(text: string): JobOrder {
  const words = text.trim().split(/\s+/);
  const [field = "", ...direction] = words;
  const snake = field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const order = ORDERS.get(text.trim() === "" ? "name" : [snake, ...direction].join(" "));
  if (order !== undefined) return order;
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  const accepted = [...ORDERS.keys()].join(", ");
  throw fieldFailure("FIELD_INVALID", "orderBy", `"${shown}" is not an order; use one of: ${accepted}.`);
}

/** Returns the place of a job in an order. */
export function placeOf({ isByTime }: JobOrder, { name, at }: ListedRow): OrderPlace {
  if (!isByTime) return { name };
  return { name, time: at === null ? "infinity" : toSqlTime(at) };
}

/** Returns the token of the page that begins after a job. */
export function toToken(list: ListIdentity, { isByTime }: JobOrder, { name, at }: ListedRow): string {
  return toPageToken(list, isByTime ? `${at ?? "infinity"}:${name}` : name);
}

const KEY = /^(?:(-?\d{1,15}|infinity):)?([a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?)$/;

/** Returns the place after which a page begins. Throws PAGE_TOKEN_INVALID. */
export function readToken(list: ListIdentity, order: JobOrder, token: string): OrderPlace {
  const key = readPageToken(list, token);
  if (key === "") return firstPlace(order);
  const [, ms, name] = KEY.exec(key) ?? [];
  if (name === undefined || (ms === undefined) === order.isByTime) throw pageTokenInvalid(token);
  if (ms === undefined) return { name };
  return { name, time: ms === "infinity" ? ms : toSqlTime(Number(ms)) };
}

function firstPlace({ isByTime, isDescending }: JobOrder): OrderPlace {
  const name = isDescending ? AFTER_NAMES : BEFORE_NAMES;
  if (!isByTime) return { name };
  return { name, time: isDescending ? "infinity" : "-infinity" };
}
