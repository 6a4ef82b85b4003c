import type { DescService } from "@bufbuild/protobuf";
import { type CallOptions, type Client, createClient, type Transport } from "@connectrpc/connect";
import { EasyCronError } from "./easycron-error.ts";
import { ApiKeyService } from "./gen/easycron/v1/api_key_service_pb.ts";
import { CalendarService } from "./gen/easycron/v1/calendar_service_pb.ts";
import { JobService } from "./gen/easycron/v1/job_service_pb.ts";
import { LedgerService } from "./gen/easycron/v1/ledger_service_pb.ts";
import { OperationService } from "./gen/easycron/v1/operation_service_pb.ts";
import { ProjectService } from "./gen/easycron/v1/project_service_pb.ts";
import { ScheduleService } from "./gen/easycron/v1/schedule_service_pb.ts";
import { SigningKeyService } from "./gen/easycron/v1/signing_key_service_pb.ts";
import { SystemService } from "./gen/easycron/v1/system_service_pb.ts";
import { TriggerService } from "./gen/easycron/v1/trigger_service_pb.ts";
import { createFetchTransport } from "./transport.ts";

/** How to reach the API. */
export interface EasyCronOptions {
  /** Base URL of the gateway, such as https://api.example.com. */
  readonly url: string;
  /** The API key of a project, or the operator's key. Undefined, as from a variable that is not set, is refused. */
  readonly apiKey: string | undefined;
  /** How long a call may take that sets no `timeoutMs` itself, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  /** Replaces the built-in transport (Connect protocol over fetch). The options above are then ignored. */
  readonly transport?: Transport;
}

/** The client of the API. Each method takes a request and call options, and throws an EasyCronError if it fails. */
export class EasyCron {
  /** Jobs: what runs when, and where its triggers are delivered. */
  readonly jobs: Client<typeof JobService>;
  /** Previews and simulations of schedules. */
  readonly schedules: Client<typeof ScheduleService>;
  /** Calendars: when jobs may fire. */
  readonly calendars: Client<typeof CalendarService>;
  /** The record of every fire time, each with exactly one verdict. */
  readonly ledger: Client<typeof LedgerService>;
  /** Triggers and their attempts. */
  readonly triggers: Client<typeof TriggerService>;
  /** Operations: work that continues after the call that started it. */
  readonly operations: Client<typeof OperationService>;
  /** The keys that sign webhooks. */
  readonly signingKeys: Client<typeof SigningKeyService>;
  /** The server: its version, its zone data and its limits. Accepts any valid key. */
  readonly system: Client<typeof SystemService>;
  /** Projects. Needs the operator's key. */
  readonly projects: Client<typeof ProjectService>;
  /** API keys. Needs the operator's key. */
  readonly apiKeys: Client<typeof ApiKeyService>;

  /**
   * Creates a client, which connects at the first call. Throws a TypeError for a URL or a key that cannot be used.
   */
  constructor(options: EasyCronOptions) {
    const transport = options.transport ?? createFetchTransport(complete(options));
    this.jobs = createThrowingClient(JobService, transport);
    this.schedules = createThrowingClient(ScheduleService, transport);
    this.calendars = createThrowingClient(CalendarService, transport);
    this.ledger = createThrowingClient(LedgerService, transport);
    this.triggers = createThrowingClient(TriggerService, transport);
    this.operations = createThrowingClient(OperationService, transport);
    this.signingKeys = createThrowingClient(SigningKeyService, transport);
    this.system = createThrowingClient(SystemService, transport);
    this.projects = createThrowingClient(ProjectService, transport);
    this.apiKeys = createThrowingClient(ApiKeyService, transport);
  }
}

function complete({ url, apiKey, timeoutMs = 10_000 }: EasyCronOptions) {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new TypeError(`url is ${JSON.stringify(url)}; it must be an absolute http or https URL.`);
  }
  // The message does not show the key, because it may be a real one with a line break at its end.
  if (apiKey === undefined || !/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new TypeError(
      "apiKey must be an API key: one or more printable ASCII characters, without white space.",
    );
  }
  return { url, apiKey, timeoutMs };
}

type Method = (request: unknown, options?: CallOptions) => Promise<unknown>;

/** A Connect client whose methods throw an EasyCronError. */
function createThrowingClient<S extends DescService>(service: S, transport: Transport): Client<S> {
  const client = createClient(service, transport) as unknown as Record<string, Method>;
  const methods = Object.entries(client).map(([name, call]) => {
    const method: Method = async (request, options) => {
      try {
        return await call(request, options);
      } catch (error) {
        throw EasyCronError.from(error);
      }
    };
    return [name, method];
  });
  // Every method of the API is unary, so it has the type `Method`.
  return Object.fromEntries(methods) as Client<S>;
}
