// A hash for each id: t is the token, u until when it is held (epoch milliseconds) or, once it is completed,
// remembered, and r the result.
// `now` is an argument of the tests; in production it is empty, and Redis's own clock decides.

const NOW = `
local now = tonumber(ARGV[1])
if now == nil then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end`;

/** Claims or renews. Arguments: now, lease, keep, token of the claim to renew or nothing. */
export const CLAIM = `${NOW}
local lease, keep, mine = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local entry = redis.call('HMGET', KEYS[1], 't', 'u', 'r')
local left = tonumber(entry[2] or '0') - now
if entry[3] and left > 0 then return {'COMPLETED', entry[3]} end
local token = entry[1]
if mine == '' and left <= 0 then
  token = string.format('%.0f', math.max(tonumber(token or '0') + 1, now * 1000))
elseif mine == '' or mine ~= token then
  return {'HELD', string.format('%.0f', math.max(1, left))}
end
redis.call('HSET', KEYS[1], 't', token, 'u', string.format('%.0f', now + lease))
redis.call('HDEL', KEYS[1], 'r')
redis.call('PEXPIRE', KEYS[1], math.max(keep, lease))
return {'CLAIMED', token}`;

/** Completes. Arguments: now, keep, token, result. Returns 1 if the token is the valid one. */
export const COMPLETE = `${NOW}
local keep = tonumber(ARGV[2])
local entry = redis.call('HMGET', KEYS[1], 't', 'r')
if entry[1] ~= ARGV[3] then return 0 end
if entry[2] then return 1 end
redis.call('HSET', KEYS[1], 'r', ARGV[4], 'u', string.format('%.0f', now + keep))
redis.call('PEXPIRE', KEYS[1], keep)
return 1`;

/** Releases. Argument: token. The next token is one higher, so the old one is no longer valid. */
export const RELEASE = `
local entry = redis.call('HMGET', KEYS[1], 't', 'r')
if entry[1] == ARGV[1] and not entry[2] then
  redis.call('HSET', KEYS[1], 't', string.format('%.0f', tonumber(ARGV[1]) + 1), 'u', '0')
end
return 1`;

/** Returns the text of a key, or nothing. */
export const READ = `return redis.call('GET', KEYS[1])`;

/** Replaces a text. Arguments: whether there is one, the text before, the text after, keep. */
export const SWAP = `
local present = redis.call('GET', KEYS[1])
if ARGV[1] == '0' and present then return 0 end
if ARGV[1] == '1' and present ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return 1`;
