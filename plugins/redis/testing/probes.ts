/** What a project's user tries against another project and the server. Each line is one try; ` ; ` separates commands. */
export interface ProbeSection {
  readonly title: string;
  readonly tries: readonly string[];
}

const lines = (text: string): readonly string[] =>
  text
    .trim()
    .split("\n")
    .map((line) => line.trim());

/** Tries that must all be refused. They are made by a user of proj_alpha; the other project is proj_beta. */
export const REFUSED: readonly ProbeSection[] = [
  {
    title: "Read another project's keys",
    tries: lines(`
      GET proj_beta:app:string
      MGET proj_alpha:app:k proj_beta:app:string
      GETRANGE proj_beta:app:string 0 -1
      STRLEN proj_beta:app:string
      EXISTS proj_beta:app:string
      TYPE proj_beta:app:string
      TTL proj_beta:app:string
      TOUCH proj_beta:app:string
      OBJECT ENCODING proj_beta:app:string
      MEMORY USAGE proj_beta:app:string
      DUMP proj_beta:app:string
      GETBIT proj_beta:app:string 1
      BITCOUNT proj_beta:app:string
      HGETALL proj_beta:app:hash
      HKEYS proj_beta:app:hash
      HSCAN proj_beta:app:hash 0
      LRANGE proj_beta:app:list 0 -1
      LLEN proj_beta:app:list
      LPOS proj_beta:app:list v
      SMEMBERS proj_beta:app:set
      SSCAN proj_beta:app:set 0
      SINTER proj_alpha:app:set proj_beta:app:set
      SDIFF proj_beta:app:set proj_alpha:app:set
      ZRANGE proj_beta:app:zset 0 -1
      ZSCORE proj_beta:app:zset m
      ZUNION 2 proj_alpha:app:zset proj_beta:app:zset
      PFCOUNT proj_alpha:app:k proj_beta:app:string
      LCS proj_alpha:app:k proj_beta:app:string
      SORT proj_alpha:app:list BY nosort GET proj_beta:app:*
      SORT_RO proj_beta:app:list
      MULTI ; GET proj_beta:app:string ; EXEC
      WATCH proj_beta:app:string
      GET proj_alphax:app:string
      GET proj_alpha
      GET other`),
  },
  {
    title: "Read another project's triggers",
    tries: lines(`
      XRANGE proj_beta:orders - +
      XREVRANGE proj_beta:orders + -
      XREAD STREAMS proj_beta:orders 0
      XREAD STREAMS proj_alpha:orders proj_beta:orders 0 0
      XREADGROUP GROUP g c STREAMS proj_beta:orders >
      XLEN proj_beta:orders
      XINFO STREAM proj_beta:orders
      XINFO GROUPS proj_beta:orders
      XPENDING proj_beta:orders g
      GET proj_beta:latest
      LPOP proj_beta:queue
      BLPOP proj_alpha:queue proj_beta:queue 1
      LMPOP 1 proj_beta:queue LEFT
      BLMPOP 1 1 proj_beta:queue LEFT`),
  },
  {
    title: "Change another project's keys and triggers",
    tries: lines(`
      SET proj_beta:app:string x
      MSET proj_alpha:app:k v proj_beta:app:string x
      APPEND proj_beta:app:string x
      SETRANGE proj_beta:app:string 0 x
      INCR proj_beta:app:counter
      GETSET proj_beta:app:string x
      GETDEL proj_beta:app:string
      GETEX proj_beta:app:string
      SETBIT proj_beta:app:string 1 1
      DEL proj_beta:app:string
      UNLINK proj_alpha:app:k proj_beta:app:string
      EXPIRE proj_beta:app:string 1
      PERSIST proj_beta:app:string
      RENAME proj_beta:app:string proj_alpha:app:stolen
      RENAME proj_alpha:app:k proj_beta:app:string
      RENAMENX proj_alpha:app:k proj_beta:app:new
      COPY proj_beta:app:string proj_alpha:app:stolen
      COPY proj_alpha:app:k proj_beta:app:string REPLACE
      RESTORE proj_beta:app:new 0 x
      MIGRATE 127.0.0.1 1 proj_alpha:app:k 0 1
      HSET proj_beta:app:hash f x
      HDEL proj_beta:app:hash f
      LPUSH proj_beta:app:list x
      LMOVE proj_beta:app:list proj_alpha:app:list LEFT LEFT
      LMOVE proj_alpha:app:list proj_beta:app:list LEFT LEFT
      BLMOVE proj_beta:app:list proj_alpha:app:list LEFT LEFT 1
      RPOPLPUSH proj_beta:app:list proj_alpha:app:list
      SADD proj_beta:app:set x
      SMOVE proj_beta:app:set proj_alpha:app:set v
      SUNIONSTORE proj_alpha:app:stolen proj_beta:app:set
      SUNIONSTORE proj_beta:app:set proj_alpha:app:set
      SPOP proj_beta:app:set
      ZADD proj_beta:app:zset 1 x
      ZRANGESTORE proj_alpha:app:stolen proj_beta:app:zset 0 -1
      ZUNIONSTORE proj_beta:app:zset 1 proj_alpha:app:zset
      ZPOPMIN proj_beta:app:zset
      BITOP OR proj_alpha:app:stolen proj_beta:app:string
      PFMERGE proj_beta:app:new proj_alpha:app:k
      XADD proj_beta:orders * f x
      XDEL proj_beta:orders 1-1
      XTRIM proj_beta:orders MAXLEN 0
      XACK proj_beta:orders g 1-1
      XCLAIM proj_beta:orders g c 0 1-1
      XAUTOCLAIM proj_beta:orders g c 0 0
      XGROUP CREATE proj_beta:orders mine $
      XGROUP DESTROY proj_beta:orders g
      MULTI ; SET proj_beta:app:string x ; EXEC`),
  },
  {
    title: "Forge, change or lose triggers of one's own",
    tries: lines(`
      XADD proj_alpha:orders * f x
      XDEL proj_alpha:orders 1-1
      XTRIM proj_alpha:orders MAXLEN 0
      XSETID proj_alpha:orders 9-9
      RPUSH proj_alpha:queue x
      LSET proj_alpha:queue 0 x
      LMOVE proj_alpha:queue proj_alpha:app:list LEFT LEFT
      SET proj_alpha:latest x
      GETDEL proj_alpha:latest
      DEL proj_alpha:orders
      EXPIRE proj_alpha:orders 1
      RENAME proj_alpha:orders proj_alpha:app:orders
      COPY proj_alpha:orders proj_alpha:app:orders`),
  },
  {
    title: "Reach what EasyCron keeps",
    tries: lines(`
      HGETALL easycron:project:proj_alpha
      HSET easycron:project:proj_alpha read_only 0
      DEL easycron:project:proj_beta
      SMEMBERS easycron:projects
      GET easycron:guard:proj_alpha:trg_1
      DEL easycron:guard:proj_alpha:trg_1
      SET easycron:guard:proj_beta:trg_2 x
      GET easycron:latest:proj_beta:latest`),
  },
  {
    title: "Listen to others, or call to them",
    tries: lines(`
      SUBSCRIBE proj_beta:c
      SUBSCRIBE proj_alphax:c
      PSUBSCRIBE *
      PSUBSCRIBE proj_*
      PSUBSCRIBE proj_beta:*
      PSUBSCRIBE __keyspace@0__:*
      SSUBSCRIBE proj_beta:c
      PUBLISH proj_beta:c x
      SPUBLISH proj_beta:c x
      PUBSUB CHANNELS
      PUBSUB NUMSUB proj_beta:c
      PUBSUB NUMPAT
      PUBSUB SHARDCHANNELS
      MONITOR
      CLIENT TRACKING ON
      CLIENT CACHING YES`),
  },
  {
    title: "List or count what others have",
    tries: lines(`
      KEYS *
      SCAN 0
      SCAN 0 MATCH proj_beta:*
      RANDOMKEY
      DBSIZE
      INFO
      INFO keyspace
      CLIENT LIST
      ACL LIST
      ACL USERS
      ACL GETUSER proj_beta-1
      ACL WHOAMI
      ACL LOG
      MEMORY STATS
      MEMORY DOCTOR
      SLOWLOG GET
      LATENCY LATEST
      COPY proj_alpha:app:k proj_alpha:app:k2 DB 1
      MOVE proj_alpha:app:k 1
      SELECT 1
      SWAPDB 0 1`),
  },
  {
    title: "Run or change the server",
    tries: lines(`
      CONFIG GET *
      CONFIG SET maxmemory 1
      CONFIG REWRITE
      CONFIG RESETSTAT
      ACL SETUSER proj_alpha-1 allkeys allcommands
      ACL DELUSER proj_beta-1
      ACL GENPASS
      CLIENT KILL TYPE normal
      CLIENT PAUSE 1000
      CLIENT NO-EVICT ON
      CLIENT UNBLOCK 1
      CLIENT REPLY OFF
      FLUSHALL
      FLUSHDB
      SHUTDOWN NOSAVE
      DEBUG SLEEP 1
      DEBUG OBJECT proj_beta:app:string
      SAVE
      BGSAVE
      BGREWRITEAOF
      LASTSAVE
      REPLICAOF 127.0.0.1 1
      FAILOVER
      PSYNC ? -1
      ROLE
      CLUSTER NODES
      CLUSTER INFO
      MODULE LIST
      MODULE LOAD /tmp/x.so
      LATENCY RESET
      SLOWLOG RESET
      WAIT 1 1
      TIME
      LOLWUT
      EVAL return(1) 0
      EVAL return(redis.call('GET',KEYS[1])) 1 proj_beta:app:string
      EVAL_RO return(1) 0
      EVALSHA 0000000000000000000000000000000000000000 0
      SCRIPT LOAD return(1)
      SCRIPT FLUSH
      FUNCTION LIST
      FUNCTION DUMP
      FUNCTION FLUSH
      FCALL f 0
      AUTH default x
      AUTH admin x
      AUTH proj_beta-1 x
      RESET ; GET proj_beta:app:string`),
  },
];

/** Tries that the server answers. No answer may tell anything of another project. */
export const ANSWERED: readonly ProbeSection[] = [
  {
    title: "Allowed, and tells only of oneself or of the server's version",
    tries: lines(`
      PING
      SELECT 0
      HELLO
      CLIENT ID
      CLIENT INFO
      CLIENT GETNAME
      COMMAND COUNT
      MEMORY USAGE proj_alpha:app:k
      GET proj_alpha:app:k
      XRANGE proj_alpha:orders - +
      GET proj_alpha:latest
      PUBLISH proj_alpha:c hello
      XREADGROUP GROUP g c STREAMS proj_alpha:orders >`),
  },
];
