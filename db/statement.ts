/** One SQL operation: constant text, a name that is unique in the product, and the type of the rows it returns. */
export interface Statement<Row> {
  /** The name of the prepared statement, also in logs and traces. */
  readonly name: string;
  /** Constant SQL text. Values are parameters: `$1`, `$2`, … */
  readonly text: string;
  /** Never set. It only carries the type of a row. */
  readonly row?: Row;
}

const registry = new Map<string, Statement<unknown>>();

/**
 * Declares a SQL operation and registers it. A test prepares every registered statement against a freshly migrated
 * database. Throws when the name is already in use.
 */
export function statement<Row>(name: string, text: string): Statement<Row> {
  if (registry.has(name))
    throw new Error(`The SQL statement ${name} is declared twice; give one of them another name.`);
  const declared: Statement<Row> = { name, text };
  registry.set(name, declared);
  return declared;
}

/** Returns every statement that the modules loaded so far declare. */
export function declaredStatements(): readonly Statement<unknown>[] {
  return [...registry.values()];
}
