-- args[2]: the seal. args[3]: not empty if the token may never come back. Then names and values.
local stored = redis.call('HGET', key, '@')
if stored then
  local created, touched = struct.unpack('>I6I6', stored, 5)
  local repeated = string.sub(stored, 17) == args[2] and now < deadline(created, touched)
  return repeated and string.format('%.0f', created) or 0
end
-- Something else under our name.
if redis.call('EXISTS', key) == 1 then return 0 end
-- Touched before it was created, until it is used.
local touched = args[3] == '' and now or now - 1
args[2], args[3] = '@', struct.pack('>I4I6I6', 0, now, touched) .. args[2]
call_with_all('HSET', args, 2)
redis.call('PEXPIRE', key, string.format('%.0f', deadline(now, now) - now + slack))
return string.format('%.0f', now)
