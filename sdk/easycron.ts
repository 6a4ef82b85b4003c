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
  /** API key of a project, or the operator's key. Undefined, as from an unset variable, is refused. */
  readonly apiKey: string | undefined;
  /** Longest time of a call that sets no `timeoutMs` itself, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  /** Takes the place of the built-in transport (Connect protocol over fetch), and of the options above. */
  readonly transport?: Transport;
}

/** The API. Each method takes a request and call options, and throws an EasyCronError. */
export class EasyCron {
  /** Jobs: what runs when, and where the signal goes. */
  readonly jobs: Client<typeof JobService>;
  /** Schedules, seen ahead of time. */
  readonly schedules: Client<typeof ScheduleService>;
  /** When something is open, for jobs to refer to. */
  readonly calendars: Client<typeof CalendarService>;
  /** The account of every fire time, each with exactly one verdict. */
  readonly ledger: Client<typeof LedgerService>;
  /** What became of triggers. */
  readonly triggers: Client<typeof TriggerService>;
  /** What goes on after the call that asked for it. */
  readonly operations: Client<typeof OperationService>;
  /** The keys with which webhooks are signed. */
  readonly signingKeys: Client<typeof SigningKeyService>;
  /** The server: its version, its zone data, its limits. Any key will do. */
  readonly system: Client<typeof SystemService>;
  /** Projects. Needs the operator's key. */
  readonly projects: Client<typeof ProjectService>;
  /** API keys. Needs the operator's key. */
  readonly apiKeys: Client<typeof ApiKeyService>;

  /** Connects at the first call. Throws a TypeError for an unusable URL or key. */
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
  // Never shown: it may be a real key with a line break behind it.
  if (apiKey === undefined || !/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new TypeError("apiKey must be an API key: printable ASCII, not empty, no white space.");
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
  // Every method so far is unary, with the shape of `Method`.
  return Object.fromEntries(methods) as Client<S>;
}
