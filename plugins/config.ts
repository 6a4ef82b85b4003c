import { ConfigError, findUnknown, listenAddress, readEnv } from "../mesh/config.ts";

const spec = {
  /** The address on which the dispatcher calls this service. */
  listen: listenAddress("EASYCRON_PLUGINS_LISTEN"),
};

/** Secrets of the control plane. This process talks to the brokers of customers, so it must not have them. */
const FORBIDDEN = ["DATABASE_URL", "EASYCRON_MASTER_KEY", "EASYCRON_OPERATOR_KEY_HASH"];

/** Reads the configuration. Throws one ConfigError with every problem; a secret of the control plane is one. */
export function readConfig(env: NodeJS.ProcessEnv) {
  const seen = FORBIDDEN.filter((name) => env[name] !== undefined);
  if (seen.length > 0) {
    throw new ConfigError(
      seen.map(
        (name) =>
          `${name} is set; it is a secret of the control plane, so do not give it to the plugins service.`,
      ),
    );
  }
  return readEnv(env, spec, findUnknown(env, { room: "plugins", spec }));
}
