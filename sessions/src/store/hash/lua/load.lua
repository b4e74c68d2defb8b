-- Returns the time, then the fields args[2], args[3] and so on. The first of them is the metadata, whose pieces are
-- joined. With '*' for args[2], names and values of the whole hash follow on the time, as they are stored.
local reply = { string.format('%.0f', now) }
if args[2] == '*' then
  for _, item in ipairs(redis.call('HGETALL', key)) do reply[#reply + 1] = item end
  return reply
end
for start = 2, #args, 1000 do
  local values = redis.call('HMGET', key, unpack(args, start, math.min(start + 999, #args)))
  for _, value in ipairs(values) do reply[#reply + 1] = value end
end
if reply[2] then reply[2] = with_pieces(reply[2]) end
return reply
