import { type Caller, type Options, required } from "../caller.ts";
import {
  type DisablePluginRequestSchema,
  type EnablePluginRequestSchema,
  type GetPluginRequestSchema,
  type ListPluginsRequestSchema,
  PluginService,
  type RotatePluginCredentialsRequestSchema,
  type UpdatePluginRequestSchema,
} from "../gen/easycron/v1/plugin_service_pb.ts";
import type { Plugin, PluginCredentials, PluginKind } from "../resources.ts";

const { method } = PluginService;

/** Makes the methods of plugins: the project's space in a managed Redis or Kafka. */
export function createPlugins(caller: Caller) {
  return {
    /**
     * Enables a plugin: `plugins.enable("REDIS")`. Only this answer has the password. It has no credentials if the plugin
     * was enabled before.
     *
     * @example
     * ```ts
     * const { plugin, credentials } = await easycron.plugins.enable("REDIS");
     * console.log(plugin.prefix, credentials?.url);
     * ```
     */
    enable: async (
      kind: PluginKind,
      options: Options<typeof EnablePluginRequestSchema, "kind"> = {},
    ): Promise<{ plugin: Plugin; credentials?: PluginCredentials | undefined }> => {
      const { plugin, ...rest } = await caller.call(method.enablePlugin, { ...options, kind });
      return { ...rest, plugin: required(plugin, "plugin") };
    },

    /**
     * Returns a plugin: its state, where to connect, its limits and what it uses.
     *
     * @example
     * ```ts
     * const { state, endpoint, usage } = await easycron.plugins.get("KAFKA");
     * console.log(state, endpoint, usage);
     * ```
     */
    get: async (
      kind: PluginKind,
      options: Options<typeof GetPluginRequestSchema, "kind"> = {},
    ): Promise<Plugin> => {
      const { plugin } = await caller.call(method.getPlugin, { ...options, kind });
      return required(plugin, "plugin");
    },

    /**
     * Lists the plugins that the project has enabled, also those that are disabled by now. There are at most two.
     *
     * @example
     * ```ts
     * for (const { kind, state } of await easycron.plugins.list()) console.log(kind, state);
     * ```
     */
    list: async (options: Options<typeof ListPluginsRequestSchema> = {}): Promise<Plugin[]> =>
      (await caller.call(method.listPlugins, options)).plugins,

    /**
     * Changes the limits, and makes, changes or deletes topics.
     *
     * @example
     * ```ts
     * await easycron.plugins.update("KAFKA", { topics: [{ name: "orders", partitions: 3 }] });
     * ```
     */
    update: async (
      kind: PluginKind,
      options: Options<typeof UpdatePluginRequestSchema, "kind"> = {},
    ): Promise<Plugin> => {
      const { plugin } = await caller.call(method.updatePlugin, { ...options, kind });
      return required(plugin, "plugin");
    },

    /**
     * Makes new credentials. The old ones are valid until the overlap ends. Only this answer has the password.
     *
     * @example
     * ```ts
     * const { credentials } = await easycron.plugins.rotateCredentials("REDIS", { overlap: "3600s" });
     * console.log(credentials.username, credentials.expireTimeOfOld);
     * ```
     */
    rotateCredentials: async (
      kind: PluginKind,
      options: Options<typeof RotatePluginCredentialsRequestSchema, "kind"> = {},
    ): Promise<{ plugin: Plugin; credentials: PluginCredentials }> => {
      const answer = await caller.call(method.rotatePluginCredentials, { ...options, kind });
      return {
        plugin: required(answer.plugin, "plugin"),
        credentials: required(answer.credentials, "credentials"),
      };
    },

    /**
     * Disables a plugin. Its data is removed when the grace period is over. With `force`, pauses the jobs that use it.
     *
     * @example
     * ```ts
     * const { pausedJobs } = await easycron.plugins.disable("KAFKA", { force: true });
     * console.log(`${pausedJobs} jobs are paused.`);
     * ```
     */
    disable: async (
      kind: PluginKind,
      options: Options<typeof DisablePluginRequestSchema, "kind"> = {},
    ): Promise<{ plugin: Plugin; pausedJobs: number }> => {
      const { plugin, ...rest } = await caller.call(method.disablePlugin, { ...options, kind });
      return { ...rest, plugin: required(plugin, "plugin") };
    },
  };
}
