import { Agent } from "undici";
import { expect, test } from "vitest";
import { createTestAuthority } from "../../test/support/certificate.ts";
import { createCertificateAgents } from "./certificate-agents.ts";

test("agents that nobody uses are closed above the limit, and used ones are not", async () => {
  const { cert: certificate, key } = createTestAuthority().issue();
  const agents: Agent[] = [];
  const pool = createCertificateAgents({
    max: 1,
    create: () => {
      const agent = new Agent();
      agents.push(agent);
      return agent;
    },
  });
  const keyOf = (projectId: string) => ({ projectId, origin: "https://a", certificate, secretId: "sec_1" });
  const areOpen = () => agents.map(({ destroyed }) => !destroyed);
  await pool.use(keyOf("a"), key, async () => {
    await pool.use(keyOf("b"), key, async () => {
      expect(areOpen()).toEqual([true, true, true, true]);
    });
    // The oldest is in use, so the other one goes.
    expect(areOpen()).toEqual([true, true, false, false]);
  });
  await pool.use(keyOf("a"), key, async () => {});
  expect(agents.length).toBe(4);
  await pool.close();
  expect(areOpen()).toEqual([false, false, false, false]);
});
