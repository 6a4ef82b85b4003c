/**
 * The commands that customers may use. Everything else is refused: what a newer server adds is not allowed until it is
 * here. In particular there is nothing here that walks or counts all keys (SCAN, KEYS, RANDOMKEY, DBSIZE), that reaches
 * another database (SELECT, MOVE, COPY), that tells of others (PUBSUB, CLIENT LIST, CLIENT TRACKING, INFO), that runs or
 * changes the server, or that takes long on its only thread (EVAL, SORT, LCS).
 */

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

/** Need no key. */
export const CONNECTION = words(`
  ping echo command client|id client|info client|getname client|setname client|setinfo
  multi exec discard watch unwatch subscribe unsubscribe psubscribe punsubscribe ssubscribe sunsubscribe`);

/** Send to channels. */
export const PUBLISH = words("publish spublish");

/** Read a customer's own keys. */
export const READ = words(`
  exists type ttl pttl expiretime pexpiretime touch memory|usage
  get getrange substr mget strlen getbit bitcount bitpos bitfield_ro
  hexists hget hgetall hkeys hlen hmget hrandfield hscan hstrlen hvals httl hpttl hexpiretime hpexpiretime
  lindex llen lpos lrange
  scard sdiff sinter sintercard sismember smembers smismember srandmember sscan sunion
  zcard zcount zdiff zinter zintercard zlexcount zmscore zrandmember zrange zrangebylex zrangebyscore zrank zrevrange
  zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion
  xinfo xlen xpending xrange xread xrevrange
  geodist geohash geopos georadius_ro georadiusbymember_ro geosearch pfcount`);

/** Delete from a customer's own keys, or take from them. They need no memory, so they work when the limits are used up. */
export const DELETE = words(`
  del unlink expire expireat pexpire pexpireat getdel
  hdel hgetdel hexpire hexpireat hpexpire hpexpireat
  lpop rpop blpop brpop lmpop blmpop lrem ltrim
  spop srem
  zpopmin zpopmax bzpopmin bzpopmax zmpop bzmpop zrem zremrangebylex zremrangebyrank zremrangebyscore
  xreadgroup xack xclaim xautoclaim xdel xtrim xgroup|delconsumer xgroup|destroy xgroup|createconsumer xgroup|setid`);

/** Write a customer's own keys. */
export const WRITE = words(`
  rename renamenx persist
  append decr decrby getex getset incr incrby incrbyfloat mset msetnx psetex set setex setnx setrange
  setbit bitfield bitop
  hincrby hincrbyfloat hmset hset hsetnx hpersist hgetex hsetex
  linsert lmove blmove lpush lpushx lset rpoplpush brpoplpush rpush rpushx
  sadd sdiffstore sinterstore smove sunionstore
  zadd zdiffstore zincrby zinterstore zrangestore zunionstore
  xadd xgroup|create
  geoadd geosearchstore pfadd pfmerge`);

/** Consume what triggers have written. */
export const CONSUME = words(`
  xread xreadgroup xack xclaim xautoclaim xpending xrange xrevrange xlen xinfo
  xgroup|createconsumer xgroup|delconsumer xgroup|destroy xgroup|setid
  lpop rpop blpop brpop lmpop blmpop llen lrange lindex
  get strlen ttl pttl exists type memory|usage`);

/** Begins a consumer group; it may make an empty stream, so it is not for a project that has used up its limits. */
export const BEGIN_GROUP = words("xgroup|create");

/**
 * Delete what triggers have written. Only for a project that has used up its limits: it has no other way to make room.
 */
export const MAKE_ROOM = words("del unlink xdel xtrim ltrim");

/** Every command that some rule names. */
export const ALL_COMMANDS: readonly string[] = [
  ...new Set([
    ...CONNECTION,
    ...PUBLISH,
    ...READ,
    ...DELETE,
    ...WRITE,
    ...CONSUME,
    ...BEGIN_GROUP,
    ...MAKE_ROOM,
  ]),
];
