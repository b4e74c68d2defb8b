-- args[2]: the credentials. args[3]: not empty for a first visit, whose token may never come back. Then names and
-- values.
local stored = redis.call('HGET', key, '@')
if stored then
  local created, touched = struct.unpack('>I6I6', stored, 5)
  -- The credentials contain the hash of the secret, so the same ones mean the same create.
  local repeated = string.sub(stored, 17) == string.sub(args[2], 1, 40) and now < deadline(created, touched)
  return repeated and string.format('%.0f', created) or 0
end
-- The key belongs to another program.
if redis.call('EXISTS', key) == 1 then return 0 end
-- On a first visit the last use is before the creation, until the record is used.
local touched = args[3] == '' and now or now - 1
local metadata = struct.pack('>I4I6I6', 0, now, touched) .. args[2]
args[2], args[3] = '@', string.sub(metadata, 1, 56)
put_further_pieces(args, metadata)
call_with_all('HSET', args, 2)
redis.call('PEXPIRE', key, string.format('%.0f', deadline(now, now) - now + slack))
return string.format('%.0f', now)
