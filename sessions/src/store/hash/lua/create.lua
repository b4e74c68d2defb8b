-- args[2]: the credentials. args[3]: not empty if the token may never come back. Then names and values.
local stored = redis.call('HGET', key, '@')
if stored then
  local created, touched = struct.unpack('>I6I6', stored, 5)
  -- The hash of the secret is in there, which is nobody else's.
  local repeated = string.sub(stored, 17) == string.sub(args[2], 1, 40) and now < deadline(created, touched)
  return repeated and string.format('%.0f', created) or 0
end
-- Something else under our name.
if redis.call('EXISTS', key) == 1 then return 0 end
-- Touched before it was created, until it is used.
local touched = args[3] == '' and now or now - 1
local metadata = struct.pack('>I4I6I6', 0, now, touched) .. args[2]
args[2], args[3] = '@', string.sub(metadata, 1, 56)
put_further_pieces(args, metadata)
call_with_all('HSET', args, 2)
redis.call('PEXPIRE', key, string.format('%.0f', deadline(now, now) - now + slack))
return string.format('%.0f', now)
