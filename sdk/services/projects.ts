import { type Caller, type Options, required } from "../caller.ts";
import {
  type CreateProjectRequestSchema,
  type ProjectSchema,
  ProjectService,
} from "../gen/easycron/v1/project_service_pb.ts";
import type { InputOf } from "../plain-types.ts";
import type { Project } from "../resources.ts";

/** Makes the methods of projects, which need the operator's key. */
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
  };
}
