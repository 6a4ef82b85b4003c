import { script } from "../../db/internal-redis/script.ts";

/** What ends each argument list: the time in milliseconds, or an empty text for the time of the server. */
const NOW = `
local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + time[2] / 1000
end`;

/** When no place is free: after how many milliseconds another dispatcher may have released one. */
const OTHERS_PLACE_MS = 100;
/** When this process holds all places: it is told of its own releases, so this is only a precaution. */
const OWN_PLACE_MS = 1_000;

/**
 * Grants starts. Each key is a hash of one flow key. Its field `due` has when its next start is due and the interval of the
 * last start; every other field is a dispatcher's, with how many places it holds and until when. All times are those of the
 * server, in milliseconds.
 *
 * Arguments: 1 this dispatcher, 2 the time, 3 how long places are held without being renewed, 4 how much unused rate may be
 * used later. Then of each key: the places that this dispatcher holds, how many starts are wanted, the most places or -1,
 * and the interval between two starts or 0. Returns of each key how many are granted, and when to ask again.
 *
 * If the server's clock was set back, times that lie too far ahead count as over.
 */
export const TAKE = script(`${NOW}
local me, lease, burst = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local given, answers = {}, {}
for index, key in ipairs(KEYS) do
  local at = 4 * index
  local own = tonumber(ARGV[at + 1]) + (given[key] or 0)
  local wanted, most, interval = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local due, others, stored, dead = 0, 0, 0, {}
  local fields = redis.call('HGETALL', key)
  for place = 1, #fields, 2 do
    local name = fields[place]
    local first, second = string.match(fields[place + 1], '^(%S+) (%S+)$')
    first, second = tonumber(first), tonumber(second)
    if name == 'due' then
      due = first
      if due > now + second + burst then due = 0 end
    elseif name == me then stored = first
    elseif second <= now or second > now + lease + 1000 then dead[#dead + 1] = name
    else others = others + first end
  end
  local places, starts, allowance = wanted, wanted, 0
  if most >= 0 then places = math.max(0, most - own - others) end
  if interval > 0 then
    allowance = math.floor(burst / interval) * interval
    local early = now + allowance - math.max(due, now)
    starts = early < -0.001 and 0 or math.floor((early + 0.001) / interval) + 1
  end
  local granted = math.min(wanted, places, starts)
  if granted > 0 and interval > 0 then due = math.max(due, now) + granted * interval end
  own = own + granted
  given[key] = (given[key] or 0) + granted
  if #dead > 0 then redis.call('HDEL', key, unpack(dead)) end
  if granted > 0 or stored ~= own then
    if own > 0 then redis.call('HSET', key, me, string.format('%d %.3f', own, now + lease))
    else redis.call('HDEL', key, me) end
    if granted > 0 and interval > 0 then redis.call('HSET', key, 'due', string.format('%.3f %.3f', due, interval)) end
    redis.call('PEXPIRE', key, math.ceil(math.max(lease, due - now)) + 1000)
  end
  local again = 1
  if granted < wanted then
    again = math.max(1, math.ceil(due - allowance - now))
    if granted == places then again = math.max(again, others > 0 and ${OTHERS_PLACE_MS} or ${OWN_PLACE_MS}) end
  end
  answers[2 * index - 1] = granted
  answers[2 * index] = again
end
return answers`);

/**
 * Says how many places this dispatcher holds of each key, and renews them. Arguments: 1 this dispatcher, 2 the time, 3 how
 * long places are held without being renewed; then of each key the number of places.
 */
export const HOLD = script(`${NOW}
local me, lease = ARGV[1], tonumber(ARGV[3])
for index, key in ipairs(KEYS) do
  local count = tonumber(ARGV[3 + index])
  if count == 0 then redis.call('HDEL', key, me)
  else
    redis.call('HSET', key, me, string.format('%d %.3f', count, now + lease))
    if redis.call('PTTL', key) < lease then redis.call('PEXPIRE', key, lease + 1000) end
  end
end
return #KEYS`);
