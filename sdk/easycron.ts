import type { Transport } from "@connectrpc/connect";
import { createCaller, isTimeout, MAX_TIMEOUT_MS } from "./caller.ts";
import { createRawClient, type RawClient } from "./raw-client.ts";
import { createCalendars } from "./services/calendars.ts";
import { createJobRevisions } from "./services/job-revisions.ts";
import { createJobSets } from "./services/job-sets.ts";
import { createJobs } from "./services/jobs.ts";
import { createApiKeys, createSigningKeys } from "./services/keys.ts";
import { createLedger } from "./services/ledger.ts";
import { createOperations } from "./services/operations.ts";
import { createPlugins } from "./services/plugins.ts";
import { createProjects } from "./services/projects.ts";
import { createSchedules } from "./services/schedules.ts";
import { createSystem } from "./services/system.ts";
import { createTriggers } from "./services/triggers.ts";
import { createFetchTransport } from "./transport.ts";

/** How to reach the API. */
export interface EasyCronOptions {
  /** Base URL of the gateway, such as https://api.example.com. Default: the variable EASYCRON_URL. */
  readonly url?: string | undefined;
  /** The API key of a project, or the operator's key. Default: the variable EASYCRON_API_KEY. */
  readonly apiKey?: string | undefined;
  /** How long a call may take with its retries that sets no `timeoutMs` itself, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number | undefined;
  /** How often a call that is safe to repeat is repeated at most. Default 4; 0 turns retries off. */
  readonly maxRetries?: number | undefined;
  /** Replaces the built-in transport (Connect protocol over fetch). `url` and `apiKey` are then ignored. */
  readonly transport?: Transport | undefined;
}

/**
 * The client of the API: plain objects in and out. Each method throws an EasyCronError if it fails.
 *
 * @example
 * ```ts
 * const easycron = new EasyCron({ timeoutMs: 5_000 }); // reads EASYCRON_URL and EASYCRON_API_KEY
 * const job = await easycron.jobs.get("payroll");
 * ```
 */
export class EasyCron {
  /** Jobs: what runs when, and where its triggers are delivered. */
  readonly jobs: ReturnType<typeof createJobs> &
    ReturnType<typeof createJobSets> &
    ReturnType<typeof createJobRevisions>;
  /** Previews and simulations of schedules. */
  readonly schedules: ReturnType<typeof createSchedules>;
  /** Calendars: when jobs may fire. */
  readonly calendars: ReturnType<typeof createCalendars>;
  /** The record of every fire time, each with exactly one verdict. */
  readonly ledger: ReturnType<typeof createLedger>;
  /** Triggers and their attempts. */
  readonly triggers: ReturnType<typeof createTriggers>;
  /** Operations: work that continues after the call that started it. */
  readonly operations: ReturnType<typeof createOperations>;
  /** The keys that sign webhooks. */
  readonly signingKeys: ReturnType<typeof createSigningKeys>;
  /** The project's space in a managed Redis or Kafka. */
  readonly plugins: ReturnType<typeof createPlugins>;
  /** The server: its version, its zone data and its limits. Accepts any valid key. */
  readonly system: ReturnType<typeof createSystem>;
  /** The project of the key; and creating projects, which needs the operator's key. */
  readonly projects: ReturnType<typeof createProjects>;
  /** API keys. Needs the operator's key. */
  readonly apiKeys: ReturnType<typeof createApiKeys>;
  /** The generated client, with messages in and out and without retries. `@easycron/sdk/raw` has its types. */
  readonly raw: RawClient;

  /**
   * Creates a client, which connects at the first call. Throws a TypeError for an option that cannot be used, or that
   * neither an argument nor a variable gives.
   */
  constructor(options: EasyCronOptions = {}) {
    const { timeoutMs, maxRetries } = readLimits(options);
    const transport = options.transport ?? createFetchTransport({ ...readAccess(options), timeoutMs });
    const caller = createCaller({ transport, timeoutMs, maxRetries });
    this.jobs = { ...createJobs(caller), ...createJobSets(caller), ...createJobRevisions(caller) };
    this.schedules = createSchedules(caller);
    this.calendars = createCalendars(caller);
    this.ledger = createLedger(caller);
    this.triggers = createTriggers(caller);
    this.operations = createOperations(caller);
    this.signingKeys = createSigningKeys(caller);
    this.plugins = createPlugins(caller);
    this.system = createSystem(caller);
    this.projects = createProjects(caller);
    this.apiKeys = createApiKeys(caller);
    this.raw = createRawClient(transport);
  }
}

const OPTIONS = ["url", "apiKey", "timeoutMs", "maxRetries", "transport"];

function readLimits(options: EasyCronOptions): { timeoutMs: number; maxRetries: number } {
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
  if (unknown !== undefined) {
    throw new TypeError(`${unknown} is not an option of EasyCron; its options are ${OPTIONS.join(", ")}.`);
  }
  const { timeoutMs = 10_000, maxRetries = 4 } = options;
  if (!isTimeout(timeoutMs)) {
    throw new TypeError(
      `timeoutMs is ${timeoutMs}; it must be milliseconds above 0, at most ${MAX_TIMEOUT_MS}.`,
    );
  }
  if (!Number.isInteger(maxRetries) || maxRetries < 0) {
    throw new TypeError(`maxRetries is ${maxRetries}; it must be a whole number from 0.`);
  }
  return { timeoutMs, maxRetries };
}

function readAccess(options: EasyCronOptions): { url: string; apiKey: string } {
  const url = options.url ?? readVariable("EASYCRON_URL");
  if (url === undefined) {
    throw new TypeError("url is not set; give new EasyCron({ url }), or set EASYCRON_URL.");
  }
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new TypeError(`url is ${JSON.stringify(url)}; it must be an absolute http or https URL.`);
  }
  const apiKey = options.apiKey ?? readVariable("EASYCRON_API_KEY");
  if (apiKey === undefined) {
    throw new TypeError("apiKey is not set; give new EasyCron({ apiKey }), or set EASYCRON_API_KEY.");
  }
  // The message does not show the key, because it may be a real one with a line break at its end.
  if (!/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new TypeError("apiKey must be one or more printable ASCII characters, without white space.");
  }
  return { url, apiKey };
}

/** Reads a variable of the environment. Undefined if it is empty, or if there is no environment, as in a browser. */
function readVariable(name: string): string | undefined {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return process?.env?.[name] || undefined;
}
