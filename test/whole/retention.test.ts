import { afterAll, beforeAll, expect, test } from "vitest";
import { DAILY, openScene, type Scene } from "./scene.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene?.stop());

const update = (project: object, more = {}) =>
  scene.call("ProjectService/UpdateProject", { project, ...more });

test("a project keeps its triggers for 30 days, or for as many as it says with its own key", async () => {
  const { project } = await scene.call("ProjectService/GetProject", {});
  expect(project).toMatchObject({ id: scene.mesh.project, retentionDays: 30 });
  expect(project).not.toHaveProperty("retentionFloorTime");
  expect((await update({ retentionDays: 400 })).project).toEqual({ ...project, retentionDays: 400 });
  expect((await scene.call("ProjectService/GetProject", {})).project.retentionDays).toBe(400);
  // The mask names it, and no value is given: the default.
  expect((await update({}, { updateMask: "retentionDays" })).project.retentionDays).toBe(30);
  expect(await scene.client.projects.update({ displayName: "Renamed" })).toMatchObject({
    displayName: "Renamed",
    retentionDays: 30,
  });
  expect(await scene.client.projects.get()).toMatchObject({ displayName: "Renamed" });
  await update({ displayName: project.displayName });
});

test("a change that names wrong days, no name, or another field is refused with the field", async () => {
  await expect(update({ retentionDays: 401 })).rejects.toMatchObject({
    reason: "FIELD_INVALID",
    fields: ["project.retentionDays"],
  });
  await expect(update({}, { updateMask: "displayName" })).rejects.toMatchObject({
    reason: "FIELD_INVALID",
    fields: ["project.displayName"],
  });
  await expect(update({}, { updateMask: "createTime" })).rejects.toMatchObject({
    reason: "UPDATE_MASK_INVALID",
    fields: ["updateMask"],
  });
  await expect(
    scene.call("ProjectService/CreateProject", { project: { displayName: "Mine" } }),
  ).rejects.toMatchObject({ reason: "OPERATOR_KEY_REQUIRED" });
});

test("a backfill of a new project may go back for years, because nothing was removed", async () => {
  await scene.createJob("old", { schedules: DAILY });
  const range = { startTime: "2020-01-01T00:00:00Z", endTime: "2020-01-03T00:00:00Z" };
  const { operation } = await scene.call("JobService/BackfillJob", { name: "old", ...range });
  expect(operation.metadata.triggerCount).toBe(2);
  await scene.arrived("old");
});
