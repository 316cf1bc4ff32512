/**
 * What the live figures do in Redis, each one atomic script.
 *
 * - KEYS[1]:nodes, a sorted set: the processes that somebody watches at, by when they are forgotten
 * - KEYS[1]:at:<node>, a set: the visitors at a process
 * - KEYS[1]:orders, a hash: `since`, `orders`, `takings`, `item`
 * - KEYS[1]:leader: the process that leads, as long as it says so
 * - KEYS[1]:rates: the rates as JSON, as the leader left them
 * - KEYS[1]:surge: there for as long as a surge lasts
 */

const shared = `
local base = KEYS[1]
local nodes, orders, leader, rates, surge = base .. ':nodes', base .. ':orders', base .. ':leader', base .. ':rates', base .. ':surge'
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
local function visitorsAt(node) return base .. ':at:' .. node end
redis.call('ZREMRANGEBYSCORE', nodes, '-inf', now)
`

/**
 * ARGV: the process, milliseconds until it is forgotten, 1 if what is said replaces all that was, how many visitors have come, and
 * who has come, then who has gone.
 *
 * Returns 1, or nil if nothing is known of the process any more: it has to say all.
 */
export const enter: string = `${shared}
local node, life, replaces, come = ARGV[1], ARGV[2], ARGV[3] == '1', tonumber(ARGV[4])
local visitors = visitorsAt(node)
if replaces then redis.call('DEL', visitors)
elseif not redis.call('ZSCORE', nodes, node) then return nil end
for n = 5, #ARGV do redis.call(n < 5 + come and 'SADD' or 'SREM', visitors, ARGV[n]) end
redis.call('PEXPIRE', visitors, life)
redis.call('ZADD', nodes, now + life, node)
return 1
`

/** ARGV: 1 if the rates are wanted. Returns now, people, since, orders, takings, the item or '', milliseconds of the surge, the rates. */
export const look: string = `${shared}
local sets = redis.call('ZRANGE', nodes, 0, -1)
for n, node in ipairs(sets) do sets[n] = visitorsAt(node) end
local people = #sets > 0 and #redis.call('SUNION', unpack(sets)) or 0
redis.call('HSETNX', orders, 'since', now)
local shop = redis.call('HMGET', orders, 'since', 'orders', 'takings', 'item')
local wanted = ARGV[1] == '1' and redis.call('GET', rates) or ''
return { now, people, shop[1], shop[2] or '0', shop[3] or '0', shop[4] or '', redis.call('PTTL', surge), wanted }
`

/** ARGV: the item, its price. Returns how many orders there are, and the takings. */
export const order: string = `${shared}
redis.call('HSETNX', orders, 'since', now)
redis.call('HSET', orders, 'item', ARGV[1])
return { redis.call('HINCRBY', orders, 'orders', 1), redis.call('HINCRBY', orders, 'takings', ARGV[2]) }
`

/**
 * ARGV: the process, milliseconds until another one may lead, and the rates as they are, or ''.
 *
 * Returns nil where another process leads, and '' where this one did. Where it leads from now on, what it said is left alone, and
 * it returns the rates, or 'none'.
 */
export const lead: string = `${shared}
local node, life, changed = unpack(ARGV)
local holder = redis.call('GET', leader)
if holder and holder ~= node then return nil end
redis.call('SET', leader, node, 'PX', life)
if not holder then return redis.call('GET', rates) or 'none' end
if changed ~= '' then redis.call('SET', rates, changed) end
return ''
`

/** ARGV: the process. Another one may lead. */
export const rest: string = `${shared}
if redis.call('GET', leader) == ARGV[1] then redis.call('DEL', leader) end
`

/** ARGV: milliseconds. */
export const startSurge: string = `${shared}
redis.call('SET', surge, 1, 'PX', ARGV[1])
`
