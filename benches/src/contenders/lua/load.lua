-- ARGV: names. One string, which Webdis passes on as it is: the time, then each value as
-- `length:bytes`, `-` for none.
local values = redis.call('HMGET', KEYS[1], unpack(ARGV))
local time = redis.call('TIME')
local items = { string.format('%.0f,', time[1] * 1000 + math.floor(time[2] / 1000)) }
for _, value in ipairs(values) do
  items[#items + 1] = value and #value .. ':' .. value or '-'
end
return table.concat(items)
