import { type Caller, type Options, required } from "../caller.ts";
import {
  type CreateProjectRequestSchema,
  type GetProjectRequestSchema,
  type ProjectSchema,
  ProjectService,
  type UpdateProjectRequestSchema,
} from "../gen/easycron/v1/project_service_pb.ts";
import type { InputOf } from "../plain-types.ts";
import type { Project } from "../resources.ts";

/** Makes the methods of projects. Only `create` needs the operator's key. */
export function createProjects(caller: Caller) {
  return {
    /**
     * Creates a project: `projects.create({ displayName: "billing" })`.
     *
     * @example
     * ```ts
     * const project = await easycron.projects.create({ displayName: "billing" });
     * console.log(project.id);
     * ```
     */
    create: async (
      project: InputOf<typeof ProjectSchema>,
      options: Options<typeof CreateProjectRequestSchema, "project"> = {},
    ): Promise<Project> => {
      const answer = await caller.call(ProjectService.method.createProject, { ...options, project });
      return required(answer.project, "project");
    },

    /**
     * Returns the project of the API key, with the days for which it keeps its triggers, and from when on they are there.
     *
     * @example
     * ```ts
     * const { retentionDays, retentionFloorTime } = await easycron.projects.get();
     * console.log(`kept for ${retentionDays} days; complete from ${retentionFloorTime ?? "the beginning"} on`);
     * ```
     */
    get: async (options: Options<typeof GetProjectRequestSchema> = {}): Promise<Project> =>
      required((await caller.call(ProjectService.method.getProject, options)).project, "project"),

    /**
     * Changes the project of the API key. Fields that are not given stay as they are. `alerts` hold for every job that has
     * none of its own; `{}` with `{ updateMask: ["alerts"] }` removes them.
     *
     * @example
     * ```ts
     * await easycron.projects.update({ retentionDays: 90 });
     * await easycron.projects.update({
     *   alerts: { target: { webhook: { url: "https://example.com/alerts" } }, events: ["EXHAUSTED", "RECOVERED"] },
     * });
     * await easycron.projects.update({}, { updateMask: ["alerts"] });
     * ```
     */
    update: async (
      project: InputOf<typeof ProjectSchema>,
      options: Options<typeof UpdateProjectRequestSchema, "project"> = {},
    ): Promise<Project> => {
      const answer = await caller.call(ProjectService.method.updateProject, { ...options, project });
      return required(answer.project, "project");
    },
  };
}
