/** One SQL operation: constant text, a name that is unique in the product, and the shape of a row it returns. */
export interface Statement<Row> {
  /** Name of the prepared statement; also what logs and traces call it. */
  readonly name: string;
  /** Constant SQL text; values go through `$n`. */
  readonly text: string;
  /** Carries the row type only; never present at run time. */
  readonly row?: Row;
}

const registry = new Map<string, Statement<unknown>>();

/**
 * Declares a SQL operation and registers it, so that a test can prepare every statement of the product against a
 * freshly migrated database. Throws if the name is taken.
 */
export function statement<Row>(name: string, text: string): Statement<Row> {
  if (registry.has(name)) throw new Error(`The SQL statement ${name} is declared twice.`);
  const declared: Statement<Row> = { name, text };
  registry.set(name, declared);
  return declared;
}

/** Every statement declared by the modules loaded so far. */
export function declaredStatements(): readonly Statement<unknown>[] {
  return [...registry.values()];
}
