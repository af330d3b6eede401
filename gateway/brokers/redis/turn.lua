-- Forget the streams that nobody has used for a retention, once a retention; trim the log by age.
--
-- KEYS  log, young, old, meta, values, revoked
-- ARGV  epoch, retention in s, most streams, age of the log in ms, header of the entry
local meta = redis.call('HMGET', KEYS[4], 'epoch', 'turned', 'highest')
if meta[1] ~= ARGV[1] then
  return redis.error_reply('EPOCH the log has another epoch')
end
local now = redis.call('TIME')
redis.call('XTRIM', KEYS[1], 'MINID', '~',
  string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000) - ARGV[4]))
local revoked = redis.call('HGETALL', KEYS[6])
for index = 1, #revoked, 2 do
  local forget_at = tonumber(revoked[index + 1]:match('%S+$'))
  if forget_at < tonumber(now[1]) then redis.call('HDEL', KEYS[6], revoked[index]) end
end
local is_due = now[1] - meta[2] >= tonumber(ARGV[2])
local is_full = redis.call('HLEN', KEYS[2]) > tonumber(ARGV[3])
if not is_due and not is_full then return end
local floor = redis.call('HGET', KEYS[4], 'floor')
local forgotten = redis.call('HKEYS', KEYS[3])
if #forgotten > 0 then
  floor = meta[3]  -- a user who begins now goes on above the numbers of all who were forgotten
  for first = 1, #forgotten, 1000 do
    redis.call('HDEL', KEYS[5], unpack(forgotten, first, math.min(first + 999, #forgotten)))
  end
end
redis.call('UNLINK', KEYS[3])
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('RENAME', KEYS[2], KEYS[3]) end
redis.call('HSET', KEYS[4], 'turned', now[1], 'floor', floor)
local number = redis.call('HINCRBY', KEYS[4], 'number', 1)
redis.call('XADD', KEYS[1], '*',
  'e', struct.pack('>BI8I8I8I8I4I4', 1, number, 0, 0, 0, #ARGV[5], 0) .. ARGV[5] .. floor)
