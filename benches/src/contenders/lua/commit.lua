-- ARGV[1]: epoch and the two lifetimes; then names and values.
local stored = redis.call('HGET', KEYS[1], '@')
if not stored then return 0 end
local created, touched = struct.unpack('>I6I6', stored, 5)
local idle, absolute = struct.unpack('>I6I6', ARGV[1], 5)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now >= math.min(touched + idle, created + absolute) then return 0 end
if string.sub(stored, 1, 4) ~= string.sub(ARGV[1], 1, 4) then return -1 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return 1
