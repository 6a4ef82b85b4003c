import { askAll } from "./admin.ts";
import { ALL_COMMANDS } from "./commands.ts";
import type { Connection } from "./connection.ts";

/** Tells whether the server has a command. */
export type HasCommand = (command: string) => boolean;

/**
 * Returns a function that asks the server which of the commands in our rules it has. It asks once for each connection: the
 * question costs the server more than a millisecond, and another version of it is another connection.
 */
export function createCommandReader(connection: Connection): (signal: AbortSignal) => Promise<HasCommand> {
  let known: HasCommand | undefined;
  let epoch = 0;
  connection.client.on("close", () => {
    epoch += 1;
    known = undefined;
  });
  return async (signal) => {
    if (known !== undefined) return known;
    const asked = epoch;
    const [infos] = await askAll(connection, signal, [["COMMAND", "INFO", ...ALL_COMMANDS]]);
    const names = new Set(ALL_COMMANDS.filter((_, index) => Array.isArray((infos as unknown[])[index])));
    const hasCommand: HasCommand = (command) => names.has(command);
    if (asked === epoch) known = hasCommand;
    return hasCommand;
  };
}
