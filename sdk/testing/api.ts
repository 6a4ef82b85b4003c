import { globSync } from "node:fs";
import { join } from "node:path";
import type { DescEnum, DescField, DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { nameOfValue } from "../enum-names.ts";

/** Returns the services that the protos declare. */
export async function readServices(): Promise<DescService[]> {
  const files = globSync(join(import.meta.dirname, "../gen/easycron/v1/*_service_pb.ts"));
  const modules = await Promise.all(files.map((file) => import(file)));
  return modules
    .flatMap((module) => Object.values<DescService>(module))
    .filter(({ kind }) => kind === "service");
}

/** Returns the methods of the API by their path, such as JobService/CreateJob. */
export async function readMethods(): Promise<Map<string, DescMethod>> {
  const services = await readServices();
  return new Map(
    services.flatMap(({ name, methods }) => methods.map((one) => [`${name}/${one.name}`, one] as const)),
  );
}

/** Makes plain objects with every field set, each with a value of its own. */
export interface Samples {
  /**
   * Makes a message. Of a oneof it sets the member at `choice`, modulo their number. A message inside itself is left out.
   */
  of(desc: DescMessage, choice?: number): Record<string, unknown>;
}

/** Creates samples whose values differ from each other. */
export function createSamples(): Samples {
  let count = 0;
  const ofMessage = (desc: DescMessage, choice: number, within: readonly string[]): unknown => {
    count += 1;
    if (desc.typeName === "google.protobuf.Timestamp") return new Date(Date.UTC(2030, 0, 1) + count * 1_000);
    if (desc.typeName === "google.protobuf.Duration") return count;
    if (desc.typeName === "google.protobuf.FieldMask") return [`path_${count}`];
    if (desc.typeName === "google.protobuf.Value") return { member: [`value ${count}`, count, null, true] };
    const inside = [...within, desc.typeName];
    const isNew = ({ message }: DescField) => message === undefined || !inside.includes(message.typeName);
    const alone = desc.fields.filter(({ oneof }) => oneof === undefined);
    const members = desc.oneofs.flatMap(({ fields }) => fields[choice % fields.length] ?? []);
    const fields = [...alone, ...members].filter(isNew);
    return Object.fromEntries(fields.map((field) => [field.localName, ofField(field, choice, inside)]));
  };
  const ofField = (field: DescField, choice: number, within: readonly string[]): unknown => {
    const { message, enum: ofEnum, scalar } = field;
    const item = () =>
      message !== undefined
        ? ofMessage(message, choice, within)
        : ofEnum !== undefined
          ? nameIn(ofEnum, choice)
          : ofScalar(scalar ?? ScalarType.STRING);
    if (field.fieldKind === "list") return [item(), item()];
    if (field.fieldKind === "map") return { one: item(), two: item() };
    return item();
  };
  const ofScalar = (type: ScalarType): unknown => {
    count += 1;
    if (type === ScalarType.STRING) return `text ${count}`;
    return type === ScalarType.BOOL ? true : count;
  };
  return { of: (desc, choice = 0) => ofMessage(desc, choice, []) as Record<string, unknown> };
}

function nameIn(desc: DescEnum, choice: number): string {
  const named = desc.values.filter(({ number }) => number !== 0);
  const value = named[choice % named.length];
  if (value === undefined) throw new Error(`${desc.typeName} has no values.`);
  return nameOfValue(desc, value);
}
