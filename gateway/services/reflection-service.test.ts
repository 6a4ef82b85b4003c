import {
  create,
  createFileRegistry,
  fromBinary,
  type MessageInitShape,
  type Registry,
} from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Code } from "../../gen/google/rpc/code_pb.ts";
import {
  ServerReflection,
  type ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { createGrpcClient, type GrpcClient } from "../../mesh/grpc-client.ts";
import { type StartedGateway, startGateway } from "../testing/start-gateway.ts";

type Question = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]>;
type Answer = ServerReflectionResponse["messageResponse"];

const clientOf = ({ port }: StartedGateway) =>
  createGrpcClient(ServerReflection, { addresses: [`127.0.0.1:${port}`], deadlineMs: 5_000 });

/** Asks all questions on one stream, and returns the answers in their order. */
async function ask(client: GrpcClient<typeof ServerReflection>, questions: Question[]): Promise<Answer[]> {
  const stream = client.serverReflectionInfo();
  for (const messageRequest of questions) await stream.send({ messageRequest });
  stream.end();
  const answers: Answer[] = [];
  for await (const { messageResponse } of stream.responses) answers.push(messageResponse);
  return answers;
}

/** Returns the types that an answer defines. Throws if a file that they need is missing. */
function typesOf(answer: Answer | undefined): Registry {
  if (answer?.case !== "fileDescriptorResponse") throw new Error(`no files: ${JSON.stringify(answer)}`);
  const files = answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
  // A registry wants each file after those that it imports.
  const sorted = new Set<FileDescriptorProto>();
  const add = (name: string | undefined) => {
    const file = files.find((each) => each.name === name);
    if (file === undefined) throw new Error(`no file ${name}`);
    file.dependency.forEach(add);
    sorted.add(file);
  };
  add(files[0]?.name);
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [...sorted] }));
}

describe("reflection", () => {
  let gateway: StartedGateway;
  let client: GrpcClient<typeof ServerReflection>;
  beforeAll(async () => {
    gateway = await startGateway({ hasReflection: true });
    client = clientOf(gateway);
  });
  afterAll(async () => {
    client.close();
    await gateway.close();
  });

  test("lists every public service without a key, and no inner one", async () => {
    const [answer] = await ask(client, [{ case: "listServices", value: "" }]);
    expect(answer?.case).toBe("listServicesResponse");
    const names = answer?.case === "listServicesResponse" ? answer.value.service.map(({ name }) => name) : [];
    expect(names).toEqual(
      expect.arrayContaining([
        "easycron.v1.JobService",
        "easycron.v1.ApiKeyService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
      ]),
    );
    expect(names.filter((name) => name.includes("internal"))).toEqual([]);
  });

  test.each([
    ["a service", "easycron.v1.JobService", "easycron.v1.JobService"],
    ["a method", "easycron.v1.JobService.CreateJob", "easycron.v1.JobService"],
    ["a message", "easycron.v1.Job", "easycron.v1.Job"],
    ["a field", "easycron.v1.Job.schedules", "easycron.v1.Job"],
    ["a oneof", "easycron.v1.Schedule.kind", "easycron.v1.Schedule"],
    ["a value of an enum", "easycron.v1.CRON_DIALECT_STANDARD", "easycron.v1.CronSchedule"],
    ["an extension", "buf.validate.field", "buf.validate.FieldRules"],
    ["a detail of an error", "google.rpc.ErrorInfo", "google.rpc.ErrorInfo"],
    ["a well-known type", "google.protobuf.Timestamp", "google.protobuf.Timestamp"],
  ])("sends the file of %s, and every file that it needs", async (_, value, defined) => {
    const [answer] = await ask(client, [{ case: "fileContainingSymbol", value }]);
    expect(typesOf(answer).get(defined)?.typeName).toBe(defined);
  });

  test("sends files by their names and by their extensions, whose numbers it lists", async () => {
    const [byName, numbers, byExtension] = await ask(client, [
      { case: "fileByFilename", value: "easycron/v1/job.proto" },
      { case: "allExtensionNumbersOfType", value: "google.protobuf.FieldOptions" },
      {
        case: "fileContainingExtension",
        value: { containingType: "google.protobuf.FieldOptions", extensionNumber: 1159 },
      },
    ]);
    expect(typesOf(byName).getMessage("easycron.v1.Job")).toBeDefined();
    expect(numbers?.value).toMatchObject({
      baseTypeName: "google.protobuf.FieldOptions",
      extensionNumber: expect.arrayContaining([1159]),
    });
    expect(typesOf(byExtension).getExtension("buf.validate.field")?.number).toBe(1159);
  });

  test("answers what it does not know with an error, and then goes on", async () => {
    const answers = await ask(client, [
      { case: "fileContainingSymbol", value: "easycron.internal.scheduler.v1.SchedulerService" },
      { case: "fileByFilename", value: "easycron/v1/nothing.proto" },
      { case: "fileContainingExtension", value: { containingType: "easycron.v1.Job", extensionNumber: 1 } },
      { case: "allExtensionNumbersOfType", value: "nothing" },
      { case: undefined },
      { case: "fileContainingSymbol", value: "easycron.v1.Job" },
    ]);
    const codes = answers.map(({ value }) => (value && "errorCode" in value ? value.errorCode : Code.OK));
    expect(codes).toEqual([
      Code.NOT_FOUND,
      Code.NOT_FOUND,
      Code.NOT_FOUND,
      Code.NOT_FOUND,
      Code.INVALID_ARGUMENT,
      Code.OK,
    ]);
    expect(answers[0]?.value).toMatchObject({
      errorMessage:
        'This server has no name "easycron.internal.scheduler.v1.SchedulerService"; list its services.',
    });
  });
});

test("without the setting there is no reflection", async () => {
  const gateway = await startGateway();
  const client = clientOf(gateway);
  await expect(ask(client, [{ case: "listServices", value: "" }])).rejects.toMatchObject({
    reason: "METHOD_UNIMPLEMENTED",
  });
  client.close();
  await gateway.close();
});
