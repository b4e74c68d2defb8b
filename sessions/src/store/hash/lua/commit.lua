-- Any commit. Every error is found before the first write: scripts do not roll back.
--
-- args[2]: the commit's id or ''. args[3]: the change of credentials or ''.
-- args[4]: the number of operations. args[5]: the number of retained fields, -1 to retain all.
-- Then for each operation its kind, field and operand; then the retained fields; then the fields to return.
-- A field that ends in '[' stands for all fields that begin with it. It is among the retained ones, or is removed:
-- these operations come first.
local id, rotation = args[2], args[3]
local first_op, first_kept = 6, 6 + 3 * args[4]
local kept = tonumber(args[5])
local first_returned = first_kept + math.max(kept, 0)

local function applied()
  local reply = { 1 }
  for index = first_returned, #args do
    reply[#reply + 1] = redis.call('HGET', key, args[index])
  end
  return reply
end

-- The ids are compared before the epoch: otherwise the repetition of a rotation would find a later epoch.
local commits = id ~= '' and redis.call('HGET', key, '@c') or ''
for start = 1, #commits, 8 do
  if string.sub(commits, start, start + 7) == id then return applied() end
end
if string.sub(stored, 1, 4) ~= string.sub(head, 1, 4) then return -1 end
-- The change of credentials: flags (1 byte: 1 for a login, which restarts the record's lifetime; 2 for other
-- timeouts), the next epoch (4), the idle and the absolute timeout (6 each, or nothing), the length of the
-- credentials to be replaced (4), those credentials, and the new ones.
local epoch, credentials, pieces = string.sub(stored, 1, 4), string.sub(stored, 17), 0
if rotation ~= '' then
  local kind, at = string.byte(rotation), 6
  if kind >= 2 then
    idle, absolute = struct.unpack('>I6I6', rotation, at)
    at = at + 12
  end
  local length = struct.unpack('>I4', rotation, at)
  stored, pieces = with_pieces(stored)
  if length > 0 and string.sub(rotation, at + 4, at + 3 + length) ~= string.sub(stored, 17) then return -4 end
  epoch, credentials = string.sub(rotation, 2, 5), string.sub(rotation, at + 4 + length)
  if kind % 2 == 1 then created = math.max(created, now) end
end

local retained, retained_prefixes, emptied = kept >= 0 and {}, {}, {}
for index = first_kept, first_returned - 1 do
  local field = args[index]
  retained[field] = true
  if string.sub(field, -1) == '[' then retained_prefixes[#retained_prefixes + 1] = field end
end

local function is_covered(field, prefixes)
  for _, prefix in ipairs(prefixes) do
    if string.sub(field, 1, #prefix) == prefix then return true end
  end
  return false
end

-- True if the field goes before the operations on single fields.
local function is_dropped(field)
  return is_covered(field, emptied)
    or (retained and not (retained[field] or is_covered(field, retained_prefixes)))
end

local function current(field)
  if is_dropped(field) then return false end
  return redis.call('HGET', key, field)
end

-- Integers are texts, since Lua's numbers are exact up to 2^53 only.
local function less(left, right)
  local negative = string.sub(left, 1, 1) == '-'
  if negative ~= (string.sub(right, 1, 1) == '-') then return negative end
  if negative then left, right = string.sub(right, 2), string.sub(left, 2) end
  if #left ~= #right then return #left < #right end
  return left < right
end

local function is_integer(text)
  return (text == '0' or string.find(text, '^%-?[1-9]%d*$') ~= nil)
    and not less(text, '-9223372036854775808') and not less('9223372036854775807', text)
end

-- Splits an integer into its last nine decimal digits and the others, both with the integer's sign.
local function parts(text)
  local sign, digits = string.match(text, '^(%-?)(%d+)$')
  local high, low = tonumber(string.sub(digits, 1, -10)) or 0, tonumber(string.sub(digits, -9))
  if sign == '-' then return -high, -low end
  return high, low
end

local function sum(left, right)
  local high, low = parts(left)
  local more_high, more_low = parts(right)
  high, low = high + more_high, low + more_low
  local sign = ''
  if high < 0 or (high == 0 and low < 0) then sign, high, low = '-', -high, -low end
  local carry = math.floor(low / 1000000000)
  high, low = high + carry, low - carry * 1000000000
  if high < 0 then sign, high, low = sign == '' and '-' or '', -high - 1, 1000000000 - low end
  if high == 0 then return low == 0 and '0' or sign .. string.format('%.0f', low) end
  return sign .. string.format('%.0f%09.0f', high, low)
end

local kinds = {
  -- Put.
  P = function(_, operand) return operand end,
  -- Put if absent.
  F = function(field, operand) return current(field) or operand end,
  -- Remove.
  R = function() return false end,
  -- Remove if the value is still the operand.
  U = function(field, operand)
    local value = current(field)
    return value ~= operand and value
  end,
  -- Add. The operand is the difference, the value of an absent field, the lower bound and the upper bound. The upper
  -- one takes precedence.
  A = function(field, operand)
    local by, start, least, most = string.match(operand, '^(%S+) (%S+) (%S+) (%S+)$')
    local value = current(field) or start
    if not is_integer(value) then return nil end
    value = sum(value, by)
    if less(value, least) then value = least end
    return less(most, value) and most or value
  end,
  -- The larger one, and the smaller one.
  G = function(field, operand)
    local value = current(field) or operand
    if not is_integer(value) then return nil end
    return less(value, operand) and operand or value
  end,
  L = function(field, operand)
    local value = current(field) or operand
    if not is_integer(value) then return nil end
    return less(operand, value) and operand or value
  end,
  -- Replace if the value is still the expected one. The operand is the length of that or '-' for no value, '+' for a
  -- new value or '-' for none, the expected value, and the new one.
  C = function(field, operand)
    local length, sign, at = string.match(operand, '^(%-?%d*) ([+-]) ()')
    local expected = false
    if length ~= '-' then
      expected, at = string.sub(operand, at, at + length - 1), at + length
    end
    if current(field) ~= expected then return nil, -5 end
    return sign == '+' and string.sub(operand, at)
  end,
}

local puts, changed, removals = {}, {}, {}
for index = first_op, first_kept - 1, 3 do
  local field = args[index + 1]
  if string.sub(field, -1) == '[' then
    emptied[#emptied + 1] = field
  else
    local value, refusal = kinds[args[index]](field, args[index + 2])
    if value == nil then return { refusal or -2, field } end
    changed[field] = true
    if value then
      puts[#puts + 1] = field
      puts[#puts + 1] = value
    else
      removals[#removals + 1] = field
    end
  end
end
if retained or #emptied > 0 then
  for _, field in ipairs(redis.call('HKEYS', key)) do
    -- A name that begins with one '@' is metadata, of this version or another.
    if is_dropped(field) and not (changed[field] or string.find(field, '^@[^@]') or field == '@') then
      removals[#removals + 1] = field
    end
  end
end

-- Below only the first write can fail: the server may refuse it, and the script with it.
if touches or rotation ~= '' then
  if touches then touched = math.max(touched, now) end
  local metadata = epoch .. struct.pack('>I6I6', created, touched) .. credentials
  puts[#puts + 1] = '@'
  puts[#puts + 1] = string.sub(metadata, 1, 56)
  if rotation ~= '' then
    local number = put_further_pieces(puts, metadata)
    for surplus = number + 1, pieces do removals[#removals + 1] = '@' .. surplus end
  end
end
if id ~= '' then
  puts[#puts + 1] = '@c'
  puts[#puts + 1] = string.sub(commits .. id, -64)
end
-- The commit's id is written last, so a record with the id has all of the commit.
call_with_all('HDEL', removals, 1)
if touches then expire_later() end
call_with_all('HSET', puts, 1)
return applied()
