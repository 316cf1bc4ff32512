/**
 * The log's operations, each one atomic script. All keys of a channel have its hash tag, so that they are on one node of a cluster.
 *
 * - KEYS[1], a hash: `newest` and `oldest` epoch, `forgotten` (an epoch is gone), `generation` (the server process that wrote the
 *   newest epoch), and for an epoch `<id>` `top <id>`, `bytes <id>`, `next <id>`, `over <id>` (when it ended), `cut <id>` (its
 *   server process ended first, so it continues in the next epoch). It outlives the events.
 * - KEYS[1]:<id>, a stream: the events kept, whose ids are `<offset>-<time>`
 * - KEYS[1]:<id>:keys, a hash: the offsets of the events that have a key
 *
 * KEYS[1] is also the sharded pub/sub channel on which an append says what it appended.
 */

import { EPOCH_COST, EVENT_COST } from '../sse/epoch'

const shared = `
local meta = KEYS[1]
local function get(field) return redis.call('HGET', meta, field) end
local function set(...) redis.call('HSET', meta, ...) end
local function numberOf(field) return tonumber(get(field) or 0) end
local function streamOf(epoch) return meta .. ':' .. epoch end
local function keysOf(epoch) return meta .. ':' .. epoch .. ':keys' end
local function text(number) return string.format('%.0f', number) end

local function oldestIn(epoch)
  return redis.call('XRANGE', streamOf(epoch), '-', '+', 'COUNT', 1)[1]
end
local function offsetOf(entry) return tonumber(string.match(entry[1], '^%d+')) end
`

const changing = `${shared}
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function costOf(fields)
  return #fields[2] + (fields[4] and #fields[4] or 0) + ${EVENT_COST}
end

local function drop(epoch, entry)
  redis.call('XDEL', streamOf(epoch), entry[1])
  if entry[2][4] then redis.call('HDEL', keysOf(epoch), entry[2][4]) end
  redis.call('HINCRBY', meta, 'bytes ' .. epoch, -costOf(entry[2]))
end

-- Drops the oldest events that are too old, or too many for one more of this size. The end of an epoch is kept.
local function trim(epoch, size, maxEvents, maxBytes, maxAge)
  local over = get('over ' .. epoch)
  if over and now - tonumber(over) < maxAge then return end
  local count = redis.call('XLEN', streamOf(epoch))
  -- What expired as a whole has left its bytes behind.
  if count == 0 then set('bytes ' .. epoch, ${EPOCH_COST}) end
  while count > (over and 1 or 0) do
    local entry = oldestIn(epoch)
    local at = tonumber(string.match(entry[1], '%d+$'))
    local fits = count < maxEvents and numberOf('bytes ' .. epoch) + size <= maxBytes
    if fits and now - at < maxAge then return end
    drop(epoch, entry)
    count = count - 1
  end
end

local function forget(maxAge)
  local oldest, newest = get('oldest'), get('newest')
  while oldest ~= newest and now - numberOf('over ' .. oldest) >= maxAge do
    local after = get('next ' .. oldest)
    redis.call('DEL', streamOf(oldest), keysOf(oldest))
    for _, field in ipairs({ 'top ', 'bytes ', 'next ', 'over ', 'cut ' }) do redis.call('HDEL', meta, field .. oldest) end
    set('oldest', after, 'forgotten', 1)
    oldest = after
  end
end
`

/**
 * ARGV: the frame up to its id and after it, the key or '', the id of an epoch if one begins, 1 if the event is the last, the
 * positions where subscribers wait, each with a space around it, 1 if the process that asks is subscribed; events, bytes and
 * milliseconds that an epoch keeps.
 *
 * Returns the epoch and the offset, or nil if nothing was appended.
 */
export const append: string = `${changing}
local head, tail, key, newEpoch, isLast, waiting = unpack(ARGV, 1, 6)
local subscribed, maxEvents, maxBytes, maxAge = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])

if get('newest') then forget(maxAge) end
if key ~= '' then
  local epoch = get('oldest')
  while epoch do
    local offset = redis.call('HGET', keysOf(epoch), key)
    if offset then return { epoch, offset } end
    epoch = get('next ' .. epoch)
  end
end

local epoch = get('newest')
-- After a restart or a failover the newest events may be missing, although they were acknowledged. So their positions are not used
-- again: whoever has seen them is ahead, and everyone else continues in the next epoch.
local generation = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local isCut = epoch and not get('over ' .. epoch) and get('generation') ~= generation
if isCut then set('over ' .. epoch, text(now), 'cut ' .. epoch, 1) end
if not epoch or get('over ' .. epoch) then
  -- An end begins an epoch for whoever waits for its first event, also at another process.
  local isAwaited
  if isCut then isAwaited = true
  elseif epoch then isAwaited = string.find(waiting, ' ' .. epoch .. '+ ', 1, true)
  else isAwaited = waiting ~= '' or redis.call('PUBSUB', 'SHARDNUMSUB', meta)[2] > subscribed end
  if isLast == '1' and not isAwaited then return nil end
  if epoch then set('next ' .. epoch, newEpoch) else set('oldest', newEpoch) end
  epoch = newEpoch
  set('newest', epoch, 'top ' .. epoch, 0, 'bytes ' .. epoch, ${EPOCH_COST}, 'generation', generation)
end

local offset = text(numberOf('top ' .. epoch) + 1)
local position = epoch .. ':' .. offset
local fields = { 'frame', head .. position .. tail }
if key ~= '' then fields[3], fields[4] = 'key', key end
trim(epoch, costOf(fields), maxEvents, maxBytes, maxAge)
redis.call('XADD', streamOf(epoch), offset .. '-' .. text(now), unpack(fields))
if key ~= '' then redis.call('HSET', keysOf(epoch), key, offset) end
redis.call('HINCRBY', meta, 'bytes ' .. epoch, costOf(fields))
set('top ' .. epoch, offset)
if isLast == '1' then set('over ' .. epoch, text(now)) end

-- The end of an epoch is told for as long as the epoch is known.
local life = isLast == '1' and 2 * maxAge or maxAge
redis.call('PEXPIRE', meta, 2 * maxAge)
redis.call('PEXPIRE', streamOf(epoch), life)
redis.call('PEXPIRE', keysOf(epoch), life)
redis.call('SPUBLISH', meta, position .. (isLast == '1' and ' last\\n' or '\\n') .. fields[2])
return { epoch, offset }
`

/**
 * ARGV: milliseconds that an epoch keeps an event. Keeps what is known of a channel, though not its events.
 *
 * Returns the newest epoch, its top, and 1 if it is over; nil if there is none.
 */
export const touch: string = `${changing}
local maxAge = tonumber(ARGV[1])
local newest = get('newest')
if not newest then return nil end
forget(maxAge)
trim(newest, 0, math.huge, math.huge, maxAge)
redis.call('PEXPIRE', meta, 2 * maxAge)
local over = get('over ' .. newest)
if over then redis.call('PEXPIRE', streamOf(newest), 2 * maxAge) end
return { newest, get('top ' .. newest), over and 1 or 0 }
`

/**
 * ARGV: the cursor as its epoch and its offset. Without an epoch the offset is `new` for a newcomer, `0` for the position 0,
 * `malformed` for no position; with one it may be `+`. Then the bytes of frames.
 *
 * Returns nil if the channel has nothing; else the epoch that was read, the offset after which, its top, the oldest that is
 * kept, 1 if it is over, the reason of a gap or '', the frames, and the newest position if the epoch was cut. The epoch alone is
 * the position after its end.
 */
export const read: string = `${shared}
local epoch, offset, maxBytes = ARGV[1], ARGV[2], tonumber(ARGV[3])
local newest = get('newest')
if not newest then return nil end

local gap = ''
if epoch == '' then
  epoch = get('oldest')
  if offset == 'new' then
    if get('over ' .. newest) then return { newest } end
    -- The newest epoch, with those before it that were cut.
    local earlier = epoch
    while earlier ~= newest do
      local following = get('next ' .. earlier)
      if not get('cut ' .. earlier) then epoch = following end
      earlier = following
    end
  elseif offset == 'malformed' then gap = 'malformed'
  elseif get('forgotten') then gap = 'trimmed' end
elseif not get('top ' .. epoch) then
  epoch, gap = get('oldest'), 'epoch'
elseif offset == '+' and get('over ' .. epoch) then
  local following = get('next ' .. epoch)
  if not following then return { epoch } end
  epoch, offset = following, '0'
end

local top, oldest
local function lookAt(id)
  epoch, top = id, numberOf('top ' .. id)
  local first = oldestIn(id)
  oldest = first and offsetOf(first) or top + 1
end
lookAt(epoch)
local after = tonumber(offset) or (offset == '+' and math.huge) or oldest - 1
while gap == '' and after == top and get('cut ' .. epoch) do
  lookAt(get('next ' .. epoch))
  after = offset == 'new' and oldest - 1 or 0
end
local isCut = get('cut ' .. epoch)
local over = get('over ' .. epoch) and not isCut and 1 or 0
if gap == '' then
  if after > top then gap = 'ahead' elseif after < oldest - 1 then gap = 'trimmed' end
end
if gap == 'ahead' then after = over == 1 and top - 1 or top elseif gap ~= '' then after = oldest - 1 end

local frames, bytes, from = {}, 0, after + 1
while gap == '' and from <= top and bytes < maxBytes do
  local entries = redis.call('XRANGE', streamOf(epoch), text(from), '+', 'COUNT', 50)
  for _, entry in ipairs(entries) do
    local frame = entry[2][2]
    bytes = bytes + #frame
    -- One is given whatever its size. A hole ends what can be given.
    if offsetOf(entry) ~= from or (bytes > maxBytes and #frames > 0) then bytes = maxBytes break end
    frames[#frames + 1] = frame
    from = from + 1
  end
  if #entries == 0 then break end
end
local latest = isCut and newest .. ':' .. get('top ' .. newest) or ''
return { epoch, text(after), text(top), text(oldest), over, gap, frames, latest }
`
