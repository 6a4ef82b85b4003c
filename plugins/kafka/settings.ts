import type { MessageInitShape } from "@bufbuild/protobuf";
import type { PluginLimitsSchema } from "../../gen/easycron/v1/plugin_pb.ts";
import type { Logger } from "../../mesh/logger.ts";

/** What the operator has set up for Kafka. */
export interface KafkaSettings {
  /** The bootstrap servers, each host:port. */
  readonly brokers: readonly string[];
  /** The administrator, who logs in by SASL with SCRAM-SHA-512. The broker's `super.users` must have it. */
  readonly username: string;
  readonly password: string;
  /** Where customers connect to: host:port, several separated by commas. Default: the bootstrap servers. */
  readonly publicAddress?: string | undefined;
  /** The limits of a project that asks for none. */
  readonly defaultLimits: MessageInitShape<typeof PluginLimitsSchema>;
  /** The highest limits that a project may ask for. */
  readonly maxLimits: MessageInitShape<typeof PluginLimitsSchema>;
  readonly logger: Logger;
}
