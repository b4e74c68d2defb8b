-- The record in KEYS[1], and the time.
--
-- args[1] is the head: epoch (4 bytes), lifetime without use and in all (6 bytes each, milliseconds),
-- flags (1 byte: 1 to touch, 2 for a manual clock), and with a manual clock now (6 bytes), else when it
-- is too late (5 bytes, 16 milliseconds each) or nothing. The field '@' holds epoch (4), created (6),
-- touched (6) and 40 bytes of the credentials; '@1', '@2' and so on hold the rest, 56 bytes each, the last fewer.
local key, head = KEYS[1], args[1]
local idle, absolute, flags = struct.unpack('>I6I6B', head, 5)
local touches, manual = flags % 2 == 1, flags >= 2

local now, slack
if manual then
  -- The server's clock and the manual one do not agree, so the key outlives its deadline.
  now, slack = struct.unpack('>I6', head, 18), 3600000
else
  local time = redis.call('TIME')
  now, slack = time[1] * 1000 + math.floor(time[2] / 1000), 0
end

local function deadline(created, touched)
  return math.min(touched + idle, created + absolute)
end

-- Metadata that begin with this piece, whole; and how many further pieces there are.
local function with_pieces(whole)
  local piece, number = whole, 0
  while piece and #piece == 56 do
    piece = redis.call('HGET', key, '@' .. number + 1)
    if piece then whole, number = whole .. piece, number + 1 end
  end
  return whole, number
end

-- Adds what does not fit into the first piece to the names and values that are to be put; says in how many pieces.
local function put_further_pieces(puts, whole)
  local number = 0
  for start = 57, #whole, 56 do
    number = number + 1
    puts[#puts + 1] = '@' .. number
    puts[#puts + 1] = string.sub(whole, start, start + 55)
  end
  return number
end

-- `HSET` and the like with any number of arguments: `unpack` takes some thousands only.
local function call_with_all(command, list, first)
  for start = first, #list, 1000 do
    redis.call(command, key, unpack(list, start, math.min(start + 999, #list)))
  end
end
