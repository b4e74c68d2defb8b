-- args[2]: the secret's hash; then names and values.
local stored = redis.call('HGET', key, '@')
if stored then
  local created, touched = struct.unpack('>I6I6', stored, 5)
  local repeated = string.sub(stored, 17) == args[2] and now < deadline(created, touched)
  return repeated and string.format('%.0f', created) or 0
end
-- Something else under our name.
if redis.call('EXISTS', key) == 1 then return 0 end
args[1], args[2] = '@', struct.pack('>I4I6I6c32', 0, now, now, args[2])
call_with_all('HSET', args, 1)
redis.call('PEXPIRE', key, string.format('%.0f', deadline(now, now) - now + slack))
return string.format('%.0f', now)
