-- Number publications and append them to the log, in order, all or none.
--
-- KEYS  log, young, old, meta, values, batch (of the calling node)
-- ARGV  epoch, batch, most entries, seconds a receipt is kept, most events and most bytes of a
--       user's list, prefix of other keys, ms for which a user may return, then for each publication:
--       stream, user, id, "v" or "", ts, header, tail, number of bodies, bodies
--       An empty header only notes that clients of the user may return from now on.
-- Returns "seq userSeq ts stream" for each publication, and the number of the last entry.
local epoch, floor, highest, number = unpack(
  redis.call('HMGET', KEYS[4], 'epoch', 'floor', 'highest', 'number'))
if epoch ~= ARGV[1] then
  return redis.error_reply('EPOCH the log has another epoch')
end
local done = redis.call('HGET', KEYS[6], ARGV[2])
if done then  -- sent again because the answer was lost
  return cjson.decode(done)
end
floor, highest, number = tonumber(floor), tonumber(highest), tonumber(number)
local most, receipt_s, prefix = ARGV[3], ARGV[4], ARGV[7]
local most_events, most_bytes = tonumber(ARGV[5]), tonumber(ARGV[6])

local function following(stream, before)
  local last = redis.call('HGET', KEYS[2], stream)
  if not last then
    last = redis.call('HGET', KEYS[3], stream)
    if last then
      redis.call('HDEL', KEYS[3], stream)
    else
      last = before
    end
  end
  local found = tonumber(last) + 1
  redis.call('HSET', KEYS[2], stream, string.format('%.0f', found))
  return found
end

local function remember(user, record)
  local size_key = prefix .. 'returns:' .. user
  if redis.call('EXISTS', size_key) == 0 then  -- nobody can return to it
    return
  end
  local list = prefix .. 'private:' .. user
  local count = redis.call('RPUSH', list, record)
  local size = redis.call('INCRBY', size_key, #record)
  if count == 1 then
    redis.call('PEXPIRE', list, math.max(1, redis.call('PTTL', size_key)))
  end
  while count > most_events or size > most_bytes do
    local first = redis.call('LPOP', list)
    if not first then break end
    count = count - 1
    size = redis.call('DECRBY', size_key, #first)
  end
end

local function came(user)
  local size_key, list = prefix .. 'returns:' .. user, prefix .. 'private:' .. user
  if redis.call('SET', size_key, 0, 'NX') then
    redis.call('DEL', list)
  end
  redis.call('PEXPIRE', size_key, ARGV[8])
  redis.call('PEXPIRE', list, ARGV[8])
end

local answers = {}
local at = 9
while at <= #ARGV do
  local stream, user, id, value = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local ts, header, tail, bodies = ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], tonumber(ARGV[at + 7])
  local id_key = prefix .. 'id:' .. id
  local answer = id ~= '' and redis.call('GET', id_key)
  if header == '' then
    came(user)
    answer = ''
  end
  if not answer then
    local seq = stream ~= '' and following(stream, 0) or 0
    local user_seq = user ~= '' and following('user:' .. user, floor) or 0
    highest = math.max(highest, user_seq)
    number = number + 1
    local record = struct.pack('>BI8I8I8I8I4I4', 1, number, seq, user_seq, ts, #header, #tail)
      .. header .. tail .. ARGV[at + 8]
    local entry = {'e', record}
    for index = 2, bodies do
      entry[#entry + 1] = 'b'
      entry[#entry + 1] = ARGV[at + 7 + index]
    end
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', most, '*', unpack(entry))
    if value ~= '' then
      redis.call('HSET', KEYS[5], stream, record)
    elseif user ~= '' then
      remember(user, record)
    end
    answer = string.format('%.0f %.0f %s ', seq, user_seq, ts)
      .. (stream ~= '' and stream or user ~= '' and 'user:' .. user or '')
    if id ~= '' then
      redis.call('SET', id_key, answer, 'EX', receipt_s)
    end
  end
  answers[#answers + 1] = answer
  at = at + 8 + bodies
end
redis.call('HSET', KEYS[4], 'number', string.format('%.0f', number),
  'highest', string.format('%.0f', highest))
answers[#answers + 1] = string.format('%.0f', number)
redis.call('DEL', KEYS[6])  -- a node has one batch under way
redis.call('HSET', KEYS[6], ARGV[2], cjson.encode(answers))
redis.call('EXPIRE', KEYS[6], 60)
return answers
