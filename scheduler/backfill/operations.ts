import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { toSqlTime } from "../../db/time.ts";
import {
  type Operation,
  OperationKind,
  OperationSchema,
  OperationState,
} from "../../gen/easycron/v1/operation_pb.ts";
import type { ListOperationsRequest } from "../../gen/easycron/v1/operation_service_pb.ts";
import { TriggerState } from "../../gen/easycron/v1/trigger_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { readPageToken, toPageToken } from "../../mesh/page-token.ts";
import type { Parts } from "../parts.ts";
import {
  type OperationRow,
  type OperationStateName,
  operationByUid,
  operationCancel,
  operationsBefore,
} from "./operations.sql.ts";

const DEFAULT_PAGE_SIZE = 50;
/** Sorts after every id: the first page begins before it. */
const AFTER_ALL = "op_~";

/** Reads an operation. Throws OPERATION_NOT_FOUND. */
export async function getOperation(
  parts: Pick<Parts, "database">,
  projectId: string,
  id: string,
): Promise<Operation> {
  const [row] = await parts.database.query(operationByUid, [projectId, id]);
  if (row === undefined) throw failure("OPERATION_NOT_FOUND", { operation: id });
  return toOperation(row);
}

/** Lists a project's operations, newest first, a page at a time. Throws PAGE_TOKEN_INVALID. */
export async function listOperations(
  parts: Pick<Parts, "database">,
  projectId: string,
  request: ListOperationsRequest,
): Promise<{ operations: Operation[]; nextPageToken: string }> {
  const size = request.pageSize === 0 ? DEFAULT_PAGE_SIZE : request.pageSize;
  const before = request.pageToken === "" ? AFTER_ALL : readPageToken("operations", request.pageToken);
  const rows = await parts.database.query(operationsBefore, [projectId, before, size + 1]);
  const page = rows.slice(0, size);
  const last = page.at(-1);
  return {
    operations: page.map(toOperation),
    nextPageToken: rows.length > size && last !== undefined ? toPageToken("operations", last.uid) : "",
  };
}

/** Cancels an operation and returns it. A finished operation stays as it is. Throws OPERATION_NOT_FOUND. */
export async function cancelOperation(
  parts: Pick<Parts, "database" | "clock">,
  projectId: string,
  id: string,
): Promise<Operation> {
  await parts.database.query(operationCancel, [projectId, id, toSqlTime(parts.clock.now())]);
  return getOperation(parts, projectId, id);
}

const STATES: Readonly<Record<OperationStateName, OperationState>> = {
  RUNNING: OperationState.RUNNING,
  SUCCEEDED: OperationState.SUCCEEDED,
  FAILED: OperationState.FAILED,
  CANCELLED: OperationState.CANCELLED,
};

/** Converts a row to the operation that customers see. */
export function toOperation(row: OperationRow): Operation {
  return create(OperationSchema, {
    id: row.uid,
    state: STATES[row.state],
    error: row.error,
    createTime: timestampFromMs(row.create_time),
    ...(row.finish_time === null ? {} : { endTime: timestampFromMs(row.finish_time) }),
    metadata: {
      job: row.job_name,
      jobUid: row.job_uid,
      startTime: timestampFromMs(row.start_time),
      endTime: timestampFromMs(row.end_time),
      force: row.force,
      maxPerSecond: row.max_per_second,
      fireTimeCount: row.fire_time_count,
      outsideCalendarCount: row.outside_calendar_count,
      succeededCount: row.succeeded_count,
      activeCount: row.active_count,
      triggerCount: row.trigger_count,
      doneCount: row.done_count,
      kind: OperationKind[row.kind],
      triggerState: TriggerState[row.trigger_state ?? "UNSPECIFIED"],
      leftOutCount: row.left_out_count,
    },
  });
}
