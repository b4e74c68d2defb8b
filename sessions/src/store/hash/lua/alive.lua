-- Ends the script if it comes too late, for its caller has got an error by now; and if the record is not alive.
if not manual and #head > 17 and now > struct.unpack('>I5', head, 18) * 16 then return -3 end
local stored = redis.call('HGET', key, '@')
if not stored then return 0 end
local created, touched = struct.unpack('>I6I6', stored, 5)
if now >= deadline(created, touched) then return 0 end
