import {
  type DescExtension,
  type DescFile,
  type DescService,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { Code } from "../../gen/google/rpc/code_pb.ts";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.ts";
import type {
  ServerReflection,
  ServerReflectionRequest,
  ServerReflectionResponseSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { printable } from "../../mesh/printable.ts";

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;

/**
 * Returns the handler of the standard reflection service. It shows the given services, and the files that define
 * them and the details of errors. What is not known gets an error_response with NOT_FOUND; the stream goes on.
 */
export function createReflectionService(
  services: readonly DescService[],
): ServiceImpl<typeof ServerReflection> {
  const files = withDependencies([...services.map(({ file }) => file), file_google_rpc_error_details]);
  const index = createIndex(files);

  function answer({ messageRequest: asked }: ServerReflectionRequest): Answer {
    switch (asked.case) {
      case "listServices":
        return {
          case: "listServicesResponse",
          value: { service: services.map(({ typeName }) => ({ name: typeName })) },
        };
      case "fileByFilename":
        return toFiles(
          files.find(({ proto }) => proto.name === asked.value),
          `file "${printable(asked.value)}"`,
        );
      case "fileContainingSymbol":
        return toFiles(index.symbols.get(asked.value), `name "${printable(asked.value)}"`);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = asked.value;
        const found = index.extensions.find(
          ({ extendee, number }) => extendee.typeName === containingType && number === extensionNumber,
        );
        return toFiles(found?.file, `extension ${extensionNumber} of "${printable(containingType)}"`);
      }
      case "allExtensionNumbersOfType": {
        const found = index.extensions.filter(({ extendee }) => extendee.typeName === asked.value);
        if (found.length === 0 && !index.symbols.has(asked.value))
          return notFound(`name "${printable(asked.value)}"`);
        return {
          case: "allExtensionNumbersResponse",
          value: { baseTypeName: asked.value, extensionNumber: found.map(({ number }) => number) },
        };
      }
      default:
        return failed(Code.INVALID_ARGUMENT, "The request asks for nothing; set one of its fields.");
    }
  }

  return {
    async *serverReflectionInfo(requests) {
      for await (const request of requests) {
        yield { validHost: request.host, originalRequest: request, messageResponse: answer(request) };
      }
    },
  };
}

/** Returns the files and all files that they import, each once, those that were asked for first. */
function withDependencies(files: readonly DescFile[]): DescFile[] {
  const all = new Set(files);
  // The set grows while it is iterated.
  for (const file of all) for (const dependency of file.dependencies) all.add(dependency);
  return [...all];
}

interface Index {
  /** The file of each full name: of types, fields, oneofs, values, services, methods and extensions. */
  readonly symbols: ReadonlyMap<string, DescFile>;
  readonly extensions: readonly DescExtension[];
}

function createIndex(files: readonly DescFile[]): Index {
  const symbols = new Map<string, DescFile>();
  const extensions: DescExtension[] = [];
  for (const file of files) {
    for (const desc of nestedTypes(file)) {
      const add = (scope: string, members: readonly { readonly name: string }[]) => {
        for (const { name } of members) symbols.set(`${scope}.${name}`, file);
      };
      symbols.set(desc.typeName, file);
      if (desc.kind === "message") add(desc.typeName, [...desc.fields, ...desc.oneofs]);
      if (desc.kind === "service") add(desc.typeName, desc.methods);
      // The values of an enum are named beside it, not in it.
      if (desc.kind === "enum") add(desc.typeName.slice(0, desc.typeName.lastIndexOf(".")), desc.values);
      if (desc.kind === "extension") extensions.push(desc);
    }
  }
  return { symbols, extensions };
}

function toFiles(file: DescFile | undefined, asked: string): Answer {
  if (file === undefined) return notFound(asked);
  const fileDescriptorProto = withDependencies([file]).map(({ proto }) =>
    toBinary(FileDescriptorProtoSchema, proto),
  );
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function notFound(asked: string): Answer {
  return failed(Code.NOT_FOUND, `This server has no ${asked}; list its services.`);
}

function failed(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
