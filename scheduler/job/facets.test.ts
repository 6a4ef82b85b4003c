import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { facetsOf } from "./facets.ts";
import { fromSpecJson } from "./job.ts";

test("the facets of a job are its labels, the kind of its target, and the zones of its schedules, each once", () => {
  const job = fromSpecJson(
    JSON.stringify({
      schedules: [{ timeZone: "UTC" }, { timeZone: "Europe/Paris" }, {}, { timeZone: "Asia/Tokyo" }],
      target: { kafka: { topic: "t" } },
      labels: { team: "billing" },
      payload: { labels: { other: "x" } },
    }),
  );
  expect(facetsOf(job)).toEqual({
    labels: { team: "billing" },
    target: "kafka",
    zones: ["Asia/Tokyo", "Europe/Paris", "UTC"],
  });
});

test("the facets of a job without labels, target and schedules are empty", () => {
  expect(facetsOf(create(JobSchema))).toEqual({ labels: {}, target: null, zones: [] });
});

test("the facets of a job leave out the characters that PostgreSQL refuses in JSON, and no others", () => {
  const labels = { "te\u0000am": "a\ud800b\u0000c\udfff", pair: "😀" };
  const job = create(JobSchema, { labels, schedules: [{ timeZone: "Asia/\u0000Tokyo" }] });
  expect(facetsOf(job)).toEqual({ labels: { team: "abc", pair: "😀" }, target: null, zones: ["Asia/Tokyo"] });
});
