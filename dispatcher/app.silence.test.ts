import { afterAll, beforeAll, expect, test } from "vitest";
import {
  Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../gen/grpc/health/v1/health_pb.ts";
import { createGrpcClient, type GrpcClient } from "../mesh/grpc-client.ts";
import { type Receiver, startReceiver } from "../test/support/receiver.ts";
import { startTcpProxy, type TcpProxy } from "../test/support/tcp-proxy.ts";
import { createGround, eventOf, type Ground, type TestDispatcher, untilRecorded } from "./testing/ground.ts";

let ground: Ground;
let receiver: Receiver;
let proxy: TcpProxy;
let dispatcher: TestDispatcher;
let health: GrpcClient<typeof Health>;

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  const url = new URL(ground.databaseUrl);
  proxy = await startTcpProxy(Number(url.port));
  url.port = String(proxy.port);
  dispatcher = await ground.start({ DATABASE_URL: url.href, EASYCRON_DISPATCHER_LEASE_MS: "3000" });
  const addresses = [`127.0.0.1:${dispatcher.service.port}`];
  health = createGrpcClient(Health, { addresses, deadlineMs: 5_000 });
});

afterAll(async () => {
  health.close();
  proxy.restore();
  await ground.end();
  await proxy.stop();
  await receiver.stop();
});

const status = async () => (await health.check({ service: "" })).status;

const untilStatus = (wanted: ServingStatus) => expect.poll(status, { timeout: 15_000 }).toBe(wanted);

async function deliverOne(path: string): Promise<void> {
  const { projectId } = await ground.addProject();
  const event = eventOf(await ground.addJob(projectId, `${receiver.url}${path}`), Date.now());
  const recorded = untilRecorded(dispatcher.events, [event]);
  await expect.poll(() => dispatcher.accept([event]), { timeout: 15_000 }).toMatchObject({ errorCode: 0 });
  await recorded;
}

test("a dispatcher whose database falls silent delivers again over new connections", async () => {
  await deliverOne("/before");
  proxy.silence();
  await deliverOne("/after");
}, 60_000);

test("a dispatcher that cannot renew its lease in time says that it does not serve, until it can", async () => {
  await untilStatus(ServingStatus.SERVING);
  proxy.blackhole();
  await untilStatus(ServingStatus.NOT_SERVING);
  proxy.restore();
  await untilStatus(ServingStatus.SERVING);
  await deliverOne("/again");
}, 60_000);
