-- Return the number of the last entry, and a user's private events that are kept, oldest first.
--
-- KEYS  meta, private events of the user
return {redis.call('HGET', KEYS[1], 'number'), redis.call('LRANGE', KEYS[2], 0, -1)}
