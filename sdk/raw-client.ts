import type { DescService } from "@bufbuild/protobuf";
import { type CallOptions, type Client, createClient, type Transport } from "@connectrpc/connect";
import { EasyCronError } from "./easycron-error.ts";
import { ApiKeyService } from "./gen/easycron/v1/api_key_service_pb.ts";
import { CalendarService } from "./gen/easycron/v1/calendar_service_pb.ts";
import { JobService } from "./gen/easycron/v1/job_service_pb.ts";
import { LedgerService } from "./gen/easycron/v1/ledger_service_pb.ts";
import { OperationService } from "./gen/easycron/v1/operation_service_pb.ts";
import { PluginService } from "./gen/easycron/v1/plugin_service_pb.ts";
import { ProjectService } from "./gen/easycron/v1/project_service_pb.ts";
import { ScheduleService } from "./gen/easycron/v1/schedule_service_pb.ts";
import { SigningKeyService } from "./gen/easycron/v1/signing_key_service_pb.ts";
import { SystemService } from "./gen/easycron/v1/system_service_pb.ts";
import { TriggerService } from "./gen/easycron/v1/trigger_service_pb.ts";

/** The services of the API, by the property of the client that has them. */
const SERVICES = {
  jobs: JobService,
  schedules: ScheduleService,
  calendars: CalendarService,
  ledger: LedgerService,
  triggers: TriggerService,
  operations: OperationService,
  signingKeys: SigningKeyService,
  plugins: PluginService,
  system: SystemService,
  projects: ProjectService,
  apiKeys: ApiKeyService,
} as const;

/**
 * The generated client: the services with their methods, which take and return messages. They repeat no call, and throw
 * an EasyCronError.
 */
export type RawClient = { readonly [Name in keyof typeof SERVICES]: Client<(typeof SERVICES)[Name]> };

/** Creates the generated client. */
export function createRawClient(transport: Transport): RawClient {
  const clients = Object.entries(SERVICES).map(([name, service]) => [
    name,
    createThrowingClient(service, transport),
  ]);
  return Object.fromEntries(clients) as RawClient;
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
