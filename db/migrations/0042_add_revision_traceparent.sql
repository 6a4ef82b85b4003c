-- The W3C traceparent of the call that made the revision: the traces of its triggers are linked to it. Null for a revision
-- that is older than this column, and for one that EasyCron made by itself.
alter table scheduler.revisions add column traceparent text;
