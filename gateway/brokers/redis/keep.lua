-- Keep streams alive, and tell all nodes.
--
-- KEYS  log, young, old, meta
-- ARGV  epoch, most entries, header of the entry, streams
local meta = redis.call('HMGET', KEYS[4], 'epoch', 'floor', 'number')
if meta[1] ~= ARGV[1] then
  return redis.error_reply('EPOCH the log has another epoch')
end
local kept = {}
for index = 4, #ARGV do
  local stream = ARGV[index]
  local last = redis.call('HGET', KEYS[2], stream)
  if not last then
    last = redis.call('HGET', KEYS[3], stream)
      or stream:sub(1, 5) == 'user:' and meta[2] or '0'
    redis.call('HSET', KEYS[2], stream, last)
    redis.call('HDEL', KEYS[3], stream)
  end
  kept[#kept + 1] = {stream, tonumber(last)}
end
local number = redis.call('HINCRBY', KEYS[4], 'number', 1)
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*',
  'e', struct.pack('>BI8I8I8I8I4I4', 1, number, 0, 0, 0, #ARGV[3], 0) .. ARGV[3] .. cjson.encode(kept))
