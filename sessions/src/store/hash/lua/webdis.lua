-- Carries out one operation through Webdis. It returns one string, which Webdis passes on as it is: the items of the
-- reply between two nonces, which prove that the reply is that of this call, and whole. An item is `length:bytes`, or
-- `-` for nil. An error of Redis is an item after an `!`, between the nonces too: a reply without them proves
-- nothing.
local function item(value)
  if not value then return '-' end
  value = type(value) == 'number' and string.format('%.0f', value) or value
  return #value .. ':' .. value
end

local succeeded, reply = pcall(run[verb])
if not succeeded then
  return nonce .. '!' .. item(type(reply) == 'table' and reply.err or tostring(reply)) .. nonce
end
local items = { nonce }
for _, value in ipairs(type(reply) == 'table' and reply or { reply }) do
  items[#items + 1] = item(value)
end
items[#items + 1] = nonce
return table.concat(items)
