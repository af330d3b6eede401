-- Say where the log stands, and begin a new epoch where it is new or has lost entries.
--
-- KEYS  log, young, old, meta, values, revoked
-- ARGV  an epoch and a key of public ids for a new log, what the node has applied: epoch, id of the
--       last entry, its number ("" for nothing), and the format of the entries that it reads
-- Returns epoch, floor, number, id of the last entry, key of public ids, whether the node can go on;
-- if it cannot, also young, old, values, revoked.
local function last_id()
  if redis.call('EXISTS', KEYS[1]) == 0 then return '0-0' end
  local facts = redis.call('XINFO', 'STREAM', KEYS[1])
  for index = 1, #facts, 2 do
    if facts[index] == 'last-generated-id' then return facts[index + 1] end
  end
end

local function number_of(entry)  -- nil for what another program wrote
  local record = entry and entry[2][1] == 'e' and entry[2][2]
  return record and #record >= 41 and record:byte() == 1 and struct.unpack('>I8', record, 2) or nil
end

local function begin()
  redis.call('UNLINK', unpack(KEYS))
  redis.call('HSET', KEYS[4], 'epoch', ARGV[1], 'key', ARGV[2], 'format', ARGV[6],
    'floor', 0, 'highest', 0, 'number', 0, 'turned', redis.call('TIME')[1])
end

local epoch = redis.call('HGET', KEYS[4], 'epoch')
local goes_on = 0
if not epoch then
  begin()
elseif redis.call('HGET', KEYS[4], 'format') ~= ARGV[6] then
  return redis.error_reply('FORMAT nodes of another version share this log; '
    .. 'use another GATEWAY_REDIS_PREFIX, or delete its keys when they have ended')
elseif epoch == ARGV[3] and ARGV[4] ~= '' then
  local number = tonumber(redis.call('HGET', KEYS[4], 'number'))
  local found = redis.call('XRANGE', KEYS[1], ARGV[4], ARGV[4])[1]
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if number < tonumber(ARGV[5]) then
    begin()  -- the log has lost entries that this node has applied
  elseif number_of(found) == tonumber(ARGV[5]) or number == tonumber(ARGV[5]) then
    goes_on = 1
  elseif (number_of(first) or number) <= tonumber(ARGV[5]) then
    begin()  -- another entry stands in the place of one that this node has applied
  end
end
local meta = redis.call('HMGET', KEYS[4], 'epoch', 'floor', 'number', 'key')
local answer = {meta[1], meta[2], meta[3], last_id(), meta[4], goes_on}
if goes_on == 0 then
  for index, key in ipairs({KEYS[2], KEYS[3], KEYS[5], KEYS[6]}) do
    answer[6 + index] = redis.call('HGETALL', key)
  end
end
return answer
