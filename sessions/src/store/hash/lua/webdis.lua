-- One script for all that goes through Webdis. It answers one string, which Webdis passes on as it
-- is: each item as `length:bytes`, `-` for none, between two nonces, which prove that the answer is
-- ours and whole. An error is an item after an `!`: what has no nonce proves nothing.
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
