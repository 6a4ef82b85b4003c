import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { PluginKind } from "../../gen/easycron/v1/plugin_pb.ts";
import type { PluginService } from "../../gen/easycron/v1/plugin_service_pb.ts";
import { EasyCronError, failure } from "../../mesh/errors.ts";
import type { CallOptions } from "../../mesh/grpc-client.ts";
import { projectOf } from "../access/caller.ts";
import {
  enablePlugin,
  type PluginName,
  requireRow,
  rotateCredentials,
  updatePlugin,
} from "../plugins/change.ts";
import { credentialsValid } from "../plugins/credentials.sql.ts";
import { disablePlugin } from "../plugins/disable.ts";
import { toKindName, toWord } from "../plugins/kinds.ts";
import { readOffer } from "../plugins/offers.ts";
import { type PluginParts, sqlNow } from "../plugins/parts.ts";
import { type PluginRow, pluginsByProject } from "../plugins/plugins.sql.ts";
import { toPlugin } from "../plugins/show.ts";
import { toCallOptions } from "./call-options.ts";

/** What the plugin service needs. Without plugin delivery, no plugin is available. */
export interface PluginServiceParts {
  readonly database: PluginParts["database"];
  readonly plugins: PluginParts | undefined;
}

const DEFAULT_OVERLAP_MS = 86_400_000;
const DEFAULT_GRACE_DAYS = 7;
const DAY_MS = 86_400_000;

/** Returns the handlers of PluginService. The gateway keeps what is wanted, and plugin delivery carries it out. */
export function createPluginService({
  database,
  plugins,
}: PluginServiceParts): ServiceImpl<typeof PluginService> {
  return {
    enablePlugin: async ({ kind, limits, topics }, context) => {
      const { parts, name, options } = open(plugins, kind, context);
      const { row, credentials } = await enablePlugin(parts, name, { limits, topics }, options);
      const plugin = await show(parts, row);
      return credentials === undefined ? { plugin } : { plugin, credentials };
    },

    getPlugin: async ({ kind }, context) => {
      const { parts, name, options } = open(plugins, kind, context);
      return { plugin: await show(parts, await findRow(parts, name, options)) };
    },

    listPlugins: async (_request, context) => {
      const { projectId } = projectOf(context);
      const rows = await database.query(pluginsByProject, [projectId]);
      if (rows.length === 0) return { plugins: [] };
      const now = plugins === undefined ? null : sqlNow(plugins);
      const credentials = await database.query(credentialsValid, [projectId, now]);
      return { plugins: rows.map((row) => toPlugin(row, credentials)) };
    },

    updatePlugin: async ({ kind, limits, topics, deleteTopics }, context) => {
      const { parts, name, options } = open(plugins, kind, context);
      const { row } = await updatePlugin(parts, name, { limits, topics, deleteTopics }, options);
      return { plugin: await show(parts, row) };
    },

    rotatePluginCredentials: async ({ kind, overlap }, context) => {
      const { parts, name, options } = open(plugins, kind, context);
      const overlapMs = overlap === undefined ? DEFAULT_OVERLAP_MS : durationMs(overlap);
      const { row, credentials } = await rotateCredentials(parts, name, overlapMs, options);
      const plugin = await show(parts, row);
      const ends = plugin.credentials?.flatMap(({ expireTime }) => expireTime ?? []);
      // When the overlap is zero, the old credentials are gone already.
      const expireTimeOfOld = ends?.[0] ?? timestampFromMs(parts.now() ?? Date.now());
      return { plugin, credentials: { ...credentials, expireTimeOfOld } };
    },

    disablePlugin: async ({ kind, force, graceDays = DEFAULT_GRACE_DAYS }, context) => {
      const { parts, name, options } = open(plugins, kind, context);
      const disable = { isForced: force, graceMs: graceDays * DAY_MS };
      const { row, pausedJobs } = await disablePlugin(parts, name, disable, options);
      return { plugin: await show(parts, row), pausedJobs: BigInt(pausedJobs) };
    },
  };
}

interface OpenCall {
  readonly parts: PluginParts;
  readonly name: PluginName;
  readonly options: CallOptions;
}

/** Throws PLUGIN_NOT_AVAILABLE if the gateway knows no plugin delivery. */
function open(parts: PluginParts | undefined, kind: PluginKind, context: HandlerContext): OpenCall {
  const { projectId } = projectOf(context);
  const name = { projectId, kind: toKindName(kind) };
  if (parts === undefined) throw failure("PLUGIN_NOT_AVAILABLE", { plugin: toWord(name.kind) });
  return { parts, name, options: toCallOptions(context) };
}

/** Returns a row. One that is missing may be so because the operator offers no such plugin, which is then the error. */
async function findRow(parts: PluginParts, name: PluginName, options: CallOptions): Promise<PluginRow> {
  try {
    return await requireRow(parts, name);
  } catch (error) {
    if (EasyCronError.from(error).reason === "PLUGIN_NOT_ENABLED") await readOffer(parts, name.kind, options);
    throw error;
  }
}

async function show(parts: PluginParts, row: PluginRow) {
  return toPlugin(row, await parts.database.query(credentialsValid, [row.project_id, sqlNow(parts)]));
}
