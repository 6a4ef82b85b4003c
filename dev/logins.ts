import type { Login } from "../db/migrate.ts";
import type { ByRole } from "../db/roles.ts";
import { withRole } from "../db/roles.ts";
import type { Config } from "./config.ts";

type Urls = Pick<Config, "gatewayUrl" | "schedulerUrl" | "dispatcherUrl">;

/** Returns the logins of the user's own; a service without one uses its role with a password of ours. */
export function ownLogins({ gatewayUrl, schedulerUrl, dispatcherUrl }: Urls): Partial<ByRole<Login>> {
  const login = (service: string, connectionString: string) => ({
    connectionString,
    variable: `EASYCRON_${service}_DATABASE_URL`,
  });
  return {
    ...(gatewayUrl !== undefined && { gateway: login("GATEWAY", gatewayUrl) }),
    ...(schedulerUrl !== undefined && { scheduler: login("SCHEDULER", schedulerUrl) }),
    ...(dispatcherUrl !== undefined && { dispatcher: login("DISPATCHER", dispatcherUrl) }),
  };
}

/** Returns the passwords of ours, without those of services that have a login of the user's own. */
export function neededPasswords(urls: Urls, passwords: ByRole<string>): Partial<ByRole<string>> {
  return {
    ...(urls.gatewayUrl === undefined && { gateway: passwords.gateway }),
    ...(urls.schedulerUrl === undefined && { scheduler: passwords.scheduler }),
    ...(urls.dispatcherUrl === undefined && { dispatcher: passwords.dispatcher }),
  };
}

/** Returns the connection string of each service. `databaseUrl` is the administrator's. */
export function loginsOf(
  urls: Urls,
  database: {
    readonly databaseUrl: string;
    readonly roles: ByRole<string>;
    readonly passwords: ByRole<string>;
  },
): ByRole<string> {
  const { databaseUrl, roles, passwords } = database;
  const ofRole = (service: keyof ByRole<string>) => withRole(databaseUrl, roles[service], passwords[service]);
  return {
    gateway: urls.gatewayUrl ?? ofRole("gateway"),
    scheduler: urls.schedulerUrl ?? ofRole("scheduler"),
    dispatcher: urls.dispatcherUrl ?? ofRole("dispatcher"),
  };
}
