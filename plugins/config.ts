import { ConfigError, findUnknown, listenAddress, readEnv } from "../mesh/config.ts";

const spec = {
  /** Where the dispatcher reaches plugin delivery. */
  listen: listenAddress("EASYCRON_PLUGINS_LISTEN"),
};

/** Secrets of the control plane. This process must not have them: it is the one that talks to customers' brokers. */
const FORBIDDEN = ["DATABASE_URL", "EASYCRON_MASTER_KEY", "EASYCRON_OPERATOR_KEY_HASH"];

/** Reads the configuration; throws one ConfigError, also when it sees a secret of the control plane. */
export function readConfig(env: NodeJS.ProcessEnv) {
  const seen = FORBIDDEN.filter((name) => env[name] !== undefined);
  if (seen.length > 0) {
    throw new ConfigError(
      seen.map(
        (name) => `${name} is set; it belongs to the control plane and must not be given to plugin delivery.`,
      ),
    );
  }
  return readEnv(env, spec, findUnknown(env, { room: "plugins", spec }));
}
