-- A commit of puts alone, which most are: args[2], args[3] and so on are names and values. The rules are those of
-- record.lua, alive.lua and touch.lua, written out without functions: each function costs a twentieth of the script.
local key, head, call = KEYS[1], args[1], redis.call
local stored = call('HGET', key, '@')
if not stored then return 0 end
local idle, absolute, flags = struct.unpack('>I6I6B', head, 5)
local created, touched = struct.unpack('>I6I6', stored, 5)
local now, slack
if flags >= 2 then
  now, slack = struct.unpack('>I6', head, 18), 3600000
else
  local time = call('TIME')
  now, slack = time[1] * 1000 + math.floor(time[2] / 1000), 0
  if #head > 17 and now > struct.unpack('>I5', head, 18) * 16 then return -3 end
end
if now >= touched + idle or now >= created + absolute then return 0 end
if string.sub(stored, 1, 4) ~= string.sub(head, 1, 4) then return -1 end
if flags % 2 == 1 then
  touched = math.max(touched, now)
  args[#args + 1] = '@'
  args[#args + 1] = string.sub(stored, 1, 10) .. struct.pack('>I6', touched) .. string.sub(stored, 17)
end
if #args <= 1000 then
  call('HSET', key, unpack(args, 2))
else
  -- `unpack` takes some thousands of values only.
  for start = 2, #args, 1000 do
    call('HSET', key, unpack(args, start, math.min(start + 999, #args)))
  end
end
if flags % 2 == 1 then
  local left = math.min(touched + idle, created + absolute) - now + slack
  call('PEXPIRE', key, string.format('%.0f', left), 'GT')
end
return 1
