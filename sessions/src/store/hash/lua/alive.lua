local stored = redis.call('HGET', key, '@')
if not stored then return 0 end
local created, touched = struct.unpack('>I6I6', stored, 5)
if now >= deadline(created, touched) then return 0 end
