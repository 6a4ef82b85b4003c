import { createHash } from "node:crypto";

/** A script of the managed Redis. Customers have no right to run or read scripts. */
export interface Script {
  readonly lua: string;
  readonly sha: string;
}

/** The first value of a script's answer. */
export const ANSWER = {
  /** The message was written by an earlier attempt. */
  repeated: 0,
  /** The message is written now. */
  written: 1,
  /** The project is not set up in this Redis. */
  notSetUp: 2,
  /** The project has used up its limits. */
  overLimit: 3,
} as const;

/**
 * Makes a script that writes one message. `write` sets `position`.
 *
 * Keys: 1 the guard, 2 the project's settings, 3 the destination, 4 (only `key`) the fire time of the latest message.
 * Arguments: 1 how long the guard is kept in milliseconds, then those of `write`.
 *
 * One script is one atomic step: no second attempt comes between the look at the guard and the write. Redis refuses a
 * script at its first write: when it has no memory left, is a replica, or cannot store data. So the message and its guard
 * are written or neither is. The guard is written last, because it keeps the position. A repeat of a message that was
 * written succeeds whatever has happened to the project since.
 */
function writeOnce(write: string): Script {
  const lua = `
local seen = redis.call('GET', KEYS[1])
if seen then return {${ANSWER.repeated}, seen} end
local readOnly = redis.call('HGET', KEYS[2], 'read_only')
if not readOnly then return {${ANSWER.notSetUp}, ''} end
if readOnly == '1' then return {${ANSWER.overLimit}, ''} end
local position
${write.trim()}
redis.call('SET', KEYS[1], position, 'PX', ARGV[1])
return {${ANSWER.written}, position}`;
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}

/** Arguments: 2 how many entries the stream keeps, then the fields and values of the entry. */
export const STREAM = writeOnce(`
position = redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[2], '*', unpack(ARGV, 3))`);

/** Arguments: 2 how many items the list keeps, 3 the item. */
export const LIST = writeOnce(`
local length = redis.call('RPUSH', KEYS[3], ARGV[3])
position = tostring(length)
if length > tonumber(ARGV[2]) then redis.call('LTRIM', KEYS[3], -tonumber(ARGV[2]), -1) end`);

/**
 * Arguments: 2 the message. PUBLISH is no write: a server without memory and a replica publish, and only then refuse the
 * guard, so each attempt would be one more copy. So the guard is written before, and once more with the position.
 */
export const CHANNEL = writeOnce(`
redis.call('SET', KEYS[1], '', 'PX', ARGV[1])
position = tostring(redis.call('PUBLISH', KEYS[3], ARGV[2]))`);

/** What the script KEY returns as position when the key holds a message with a later fire time. */
export const HELD_LATER = "later";

/**
 * Arguments: 2 how long the key lives in milliseconds, or 0, 3 the fire time in milliseconds, 4 the value. The fire time
 * of what the key holds lies in a key of its own, with the same life, so that the value need not be parsed.
 */
export const KEY = writeOnce(`
local held = redis.call('GET', KEYS[4])
if held and tonumber(held) > tonumber(ARGV[3]) then
  position = '${HELD_LATER}'
elseif ARGV[2] == '0' then
  redis.call('SET', KEYS[3], ARGV[4])
  redis.call('SET', KEYS[4], ARGV[3])
  position = ARGV[3]
else
  redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[2])
  redis.call('SET', KEYS[4], ARGV[3], 'PX', ARGV[2])
  position = ARGV[3]
end`);
