-- ARGV[1]: epoch and the two lifetimes; ARGV[2]: the secret's hash; then names and values.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local idle = struct.unpack('>I6', ARGV[1], 5)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
ARGV[1], ARGV[2] = '@', struct.pack('>I4I6I6c32', 0, now, now, ARGV[2])
redis.call('HSET', KEYS[1], unpack(ARGV))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', idle))
return 1
