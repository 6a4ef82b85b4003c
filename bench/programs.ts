import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";

/** Starts a program of this folder with arguments, in its own process, and waits for its first message. */
export async function startProgram<T>(
  file: string,
  args: readonly string[] = [],
): Promise<{ program: ChildProcess; first: T }> {
  const program = fork(join(import.meta.dirname, file), [...args], { execArgv: [] });
  return { program, first: await nextMessage<T>(program) };
}

/** Returns the next message that a program sends. Throws when the program ends before. */
export function nextMessage<T>(program: ChildProcess): Promise<T> {
  return new Promise((done, fail) => {
    const onMessage = (message: unknown) => {
      program.off("exit", onExit);
      done(message as T);
    };
    const onExit = (code: number | null) => {
      program.off("message", onMessage);
      fail(new Error(`The program ${program.spawnargs[1]} ended with ${code} before it answered.`));
    };
    program.once("message", onMessage).once("exit", onExit);
  });
}

/** Sends a message to a program and returns its answer. Calls must not overlap. */
export function ask<T>(program: ChildProcess, message: object): Promise<T> {
  const answer = nextMessage<T>(program);
  program.send(message);
  return answer;
}

/** Resolves at an instant in epoch milliseconds, or at once if it has passed. */
export async function at(ms: number): Promise<void> {
  const wait = ms - Date.now();
  if (wait > 0) await new Promise((done) => setTimeout(done, wait));
}
