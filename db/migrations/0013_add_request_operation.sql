-- The operation that a call with a request id has begun, when it has begun one.
alter table scheduler.requests add column operation_uid text;
