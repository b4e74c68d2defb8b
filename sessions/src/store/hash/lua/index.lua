-- A change of a row of the index, as `IndexRow::apply` says. args[2]: its kind.
--
-- The row is a hash. '@' holds the moment at which its sessions were ended last (6 bytes). Each other field is a record's
-- id (16 bytes), with the times since when, until when, and until when it is held (6 each) and the stamp (8).
-- The reply: the status, the time, the moment before the change or '', then ids and values where the change asks for them.
local kind, remembered = args[2], 86400000
local not_before = redis.call('HGET', key, '@')

local function times(value)
  local since, ends, held = struct.unpack('>I6I6I6', value)
  return since, ends, held
end

-- Returns ids and values in turn, and their number. Entries that have ended are removed.
local function living()
  local all, found, ended = redis.call('HGETALL', key), {}, {}
  for index = 1, #all, 2 do
    if all[index] ~= '@' then
      local _, ends = times(all[index + 1])
      if ends > now then
        found[#found + 1] = all[index]
        found[#found + 1] = all[index + 1]
      else
        ended[#ended + 1] = all[index]
      end
    end
  end
  call_with_all('HDEL', ended, 1)
  return found, #found / 2
end

local function reply(status, list)
  local items = { status, string.format('%.0f', now), not_before or '' }
  for _, item in ipairs(list or {}) do items[#items + 1] = item end
  return items
end

-- Sets a field, and lets the row live for so long at least.
local function put(field, value, life)
  local is_new = redis.call('EXISTS', key) == 0
  redis.call('HSET', key, field, value)
  life = string.format('%.0f', life + slack)
  if is_new then redis.call('PEXPIRE', key, life) else redis.call('PEXPIRE', key, life, 'GT') end
end

local function forbids(began, own)
  return not_before and own ~= not_before and began <= struct.unpack('>I6', not_before)
end

if kind == 'L' then return reply(0, (living())) end

if kind == 'F' then
  local list = living()
  local moment = now
  if not_before then moment = math.max(moment, (struct.unpack('>I6', not_before))) end
  put('@', struct.pack('>I6', moment), remembered)
  return reply(0, list)
end

-- args[3], args[4] and so on: an id and its stamp, or '' for any.
if kind == 'D' then
  for index = 3, #args, 2 do
    local value = redis.call('HGET', key, args[index])
    if value and (args[index + 1] == '' or args[index + 1] == string.sub(value, 19)) then
      redis.call('HDEL', key, args[index])
    end
  end
  return reply(0)
end

-- args[3]: the id. args[4]: the stamp. args[5]: the time for which the entry is kept.
local id, stamp, keep = args[3], args[4], tonumber(args[5])

-- Adds or changes the entry, held until this time at least, or exactly.
local function enter(held, exactly)
  local value = redis.call('HGET', key, id)
  local since, ends, before = now, now, 0
  local is_there = false
  if value then
    since, ends, before = times(value)
    is_there = ends > now
    if not is_there then since, before = now, 0 end
  end
  ends = math.max(ends, now + keep)
  if held == nil then
    held = is_there and before or now
  elseif not exactly then
    held = math.max(held, before)
  end
  put(id, struct.pack('>I6I6I6', since, ends, held) .. stamp, ends - now)
  return reply(is_there and 0 or 1)
end

-- args[6]: the time for which it is held. args[7]: the age. args[8]: the most entries or -1. args[9]: its own moment.
if kind == 'R' then
  local age, most = tonumber(args[7]), tonumber(args[8])
  if age > remembered or forbids(now - age, args[9]) then return reply(2) end
  local list, count = living()
  if redis.call('HGET', key, id) then count = count - 1 end
  if most >= 0 and count >= most then return reply(3, list) end
  return enter(now + tonumber(args[6]), false)
end

-- args[6]: when the request began, or ''. args[7]: its own moment. args[8]: not empty if the entry must be there.
if args[6] ~= '' and forbids(tonumber(args[6]), args[7]) then return reply(2) end
if args[8] ~= '' then
  local value = redis.call('HGET', key, id)
  local ends = 0
  if value then ends = select(2, times(value)) end
  if ends <= now then return reply(4) end
end
if args[6] ~= '' then return enter(now, true) end
return enter(nil, false)
