-- Where the time of an attempt went, as dispatcher/delivery/timing-text.ts writes it, and headers of its answer as JSON.
alter table dispatcher.attempts
  add column timing text,
  add column response_headers text;

-- The same of a first attempt that is recorded in the row of its trigger. They stay when that attempt gets a row of its own.
alter table dispatcher.triggers
  add column first_timing text,
  add column first_response_headers text;
