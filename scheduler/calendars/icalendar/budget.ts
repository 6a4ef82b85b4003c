import { ICalendarError } from "./error.ts";

/** The most occurrences that one import goes through. Those that a count makes it pass over count too. */
const MAX_OCCURRENCES = 200_000;
/** The most days and times that the rules of one import look at: less than a second of work on an idle core. */
const MAX_STEPS = 10_000_000;

/** What is left of the work that one import may cause. */
export interface Budget {
  occurrences: number;
  steps: number;
}

/** Returns the budget of one import. */
export function createBudget(): Budget {
  return { occurrences: MAX_OCCURRENCES, steps: MAX_STEPS };
}

/** Takes one occurrence from the budget. Throws an ICalendarError, with the line of the component, if none is left. */
export function spendOccurrence(budget: Budget, line: number, component: string): void {
  if (budget.occurrences-- > 0) return;
  const problem = `the events up to here have more than ${MAX_OCCURRENCES} occurrences; import fewer events`;
  throw cannotExpand(line, component, problem);
}

/** Takes steps from the budget. Throws an ICalendarError, with the line of the component, if too few are left. */
export function spendSteps(budget: Budget, steps: number, line: number, component: string): void {
  budget.steps -= steps;
  if (budget.steps >= 0) return;
  const problem =
    "the rules up to here look at too many days and times; remove rules that never match, or import fewer events";
  throw cannotExpand(line, component, problem);
}

function cannotExpand(line: number, component: string, problem: string): ICalendarError {
  return new ICalendarError(line, component, `begins a ${component} that cannot be expanded: ${problem}`);
}
