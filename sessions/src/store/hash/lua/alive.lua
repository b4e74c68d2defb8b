-- Ends the script if it comes too late, for its caller has got an error by now; and if the record is not alive.
if not manual and #head > 17 and now > struct.unpack('>I5', head, 18) * 16 then return -3 end
local stored = redis.call('HGET', key, '@')
if not stored then return 0 end
local created, touched = struct.unpack('>I6I6', stored, 5)
-- A blind commit brings the times of each kind of session: the head those of visitors, args[3] those of users and of
-- users who asked to be remembered (12 bytes each, behind the byte 4). The byte after the secret's hash tells the kind.
local blind = string.byte(args[3]) == 4
if blind then
  local flags = string.byte(stored, 49) or 0
  -- A first visit, whose time ends sooner, is for a load to judge.
  if touched < created then return -4 end
  if flags >= 128 then idle, absolute = struct.unpack('>I6I6', args[3], flags >= 192 and 14 or 2) end
end
if now >= deadline(created, touched) then return 0 end
