import { createHash } from "node:crypto";
import { fieldsInLua, VARIABLE_FIELDS } from "./message.ts";

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

/** How many keys and arguments a script has. */
interface Shape {
  /** The keys before the guards: 1 the project's settings, 2 the destination, then those of `write`. */
  readonly keys: number;
  /** The arguments before those of the messages. */
  readonly common: number;
  /** The arguments of each message: 1 how long its guard is kept in milliseconds, then those of `write`. */
  readonly each: number;
}

/**
 * Makes a script that writes messages to one destination, in their order. Its last keys are their guards. `write` sets
 * `position`; the arguments of its message are ARGV[at + 1] and so on. The answer has two values for each message: a
 * code of ANSWER, and the position.
 *
 * One script is one atomic step: no second attempt comes between the look at a guard and the write. A guard is written
 * after its message. Redis checks its memory limit and the type of the destination at the first write, so if one message
 * fails then all fail, and nothing is written. A repeat of a message that was written succeeds whatever has happened to
 * the project since.
 */
function writeOnce({ keys, common, each }: Shape, write: string): Script {
  const lua = `
local readOnly = redis.call('HGET', KEYS[1], 'read_only')
local answers = {}
for index = 0, #KEYS - ${keys + 1} do
  local guard = KEYS[${keys + 1} + index]
  local at = ${common} + index * ${each}
  local position = redis.call('GET', guard)
  local code = ${ANSWER.repeated}
  if not position then
    if not readOnly then
      code, position = ${ANSWER.notSetUp}, ''
    elseif readOnly == '1' then
      code, position = ${ANSWER.overLimit}, ''
    else
      ${write.trim()}
      redis.call('SET', guard, position, 'PX', ARGV[at + 1])
      code = ${ANSWER.written}
    end
  end
  answers[2 * index + 1] = code
  answers[2 * index + 2] = position
end
return answers`;
  const sha = createHash("sha1").update(lua).digest("hex");
  return { lua, sha };
}

/** Argument 1: how many entries the stream keeps. Of each message: its guard's time, then the values of its fields. */
export const STREAM = writeOnce(
  { keys: 2, common: 1, each: 1 + VARIABLE_FIELDS },
  `position = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', ${fieldsInLua("at + 1")})`,
);

/** Argument 1: how many items the list keeps. Of each message: its guard's time, then the item. */
export const LIST = writeOnce(
  { keys: 2, common: 1, each: 2 },
  `
      local length = redis.call('RPUSH', KEYS[2], ARGV[at + 2])
      position = tostring(length)
      if length > tonumber(ARGV[1]) then redis.call('LTRIM', KEYS[2], -tonumber(ARGV[1]), -1) end`,
);

/**
 * Of each message: its guard's time, then the message. PUBLISH is no write: a server without memory and a replica publish,
 * and only then refuse the guard, so each attempt would be one more copy. So the guard is written before, and once more
 * with the position.
 */
export const CHANNEL = writeOnce(
  { keys: 2, common: 0, each: 2 },
  `
      redis.call('SET', guard, '', 'PX', ARGV[at + 1])
      position = tostring(redis.call('PUBLISH', KEYS[2], ARGV[at + 2]))`,
);

/** What the script KEY returns as position when the key holds a message with a later fire time. */
export const HELD_LATER = "later";

/**
 * Key 3: the fire time of the latest message. It lies in a key of its own, with the same life, so that the value need not
 * be parsed. Argument 1: how long the key lives in milliseconds, or 0. Of each message: its guard's time, the fire time
 * in milliseconds, the value.
 */
export const KEY = writeOnce(
  { keys: 3, common: 1, each: 3 },
  `
      local fireTime = ARGV[at + 2]
      local held = redis.call('GET', KEYS[3])
      position = fireTime
      if held and tonumber(held) > tonumber(fireTime) then
        position = '${HELD_LATER}'
      elseif ARGV[1] == '0' then
        redis.call('SET', KEYS[2], ARGV[at + 3])
        redis.call('SET', KEYS[3], fireTime)
      else
        redis.call('SET', KEYS[2], ARGV[at + 3], 'PX', ARGV[1])
        redis.call('SET', KEYS[3], fireTime, 'PX', ARGV[1])
      end`,
);
