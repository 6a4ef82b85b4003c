/** The rules of one field of a cron expression. */
export type FieldKind = Readonly<{
  /** The name of the field in error messages. */
  label: string;
  min: number;
  max: number;
  /** How many different values the field has. A step may not be larger. A range may wrap around the end. */
  size: number;
  /** The largest value that `H` alone picks. For days of the month it is 28, a day that every month has. */
  hashMax: number;
  names: Readonly<Record<string, number>>;
  /** The forms that an error message lists as accepted. */
  accepted: string;
}>;

const LISTS = "*, lists (1,2), ranges (1-5), steps (*/2, 1/2), H";

function plainKind(
  label: string,
  min: number,
  max: number,
  names: Record<string, number> = {},
  note = "",
): FieldKind {
  const accepted = `${min}-${max}${note}, ${LISTS}`;
  return { label, min, max, size: max - min + 1, hashMax: max, names, accepted };
}

function numbered(names: string, first: number): Record<string, number> {
  return Object.fromEntries(names.split(" ").map((name, index) => [name, first + index]));
}

export const SECOND: FieldKind = plainKind("second", 0, 59);
export const MINUTE: FieldKind = plainKind("minute", 0, 59);
export const HOUR: FieldKind = plainKind("hour", 0, 23);
export const MONTH: FieldKind = plainKind(
  "month",
  1,
  12,
  numbered("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC", 1),
  " or JAN-DEC",
);
export const DAY_OF_MONTH: FieldKind = {
  ...plainKind("day-of-month", 1, 31),
  hashMax: 28,
  accepted: `1-31, ?, L, L-3 (to L-30), 15W, LW, ${LISTS}`,
};
/** Sunday is 0 and also 7: eight numbers for seven days. */
export const DAY_OF_WEEK: FieldKind = {
  ...plainKind("day-of-week", 0, 7, numbered("SUN MON TUE WED THU FRI SAT", 0)),
  size: 7,
  hashMax: 6,
  accepted: `0-7 (0 and 7 are Sunday) or SUN-SAT, ?, 5#3 (1 to 5), 5L, ${LISTS}`,
};
