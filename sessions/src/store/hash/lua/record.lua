-- The record in KEYS[1], and the time.
--
-- args[1] is the head: the epoch (4 bytes), the idle and the absolute timeout (6 bytes each, in milliseconds), and
-- flags (1 byte: 1 to touch, 2 for a manual clock). A manual clock's time follows (6 bytes), or the latest time at
-- which the script may run (5 bytes, in 16 milliseconds), or nothing. The field '@' holds epoch (4), created (6),
-- touched (6) and 40 bytes of the credentials; '@1', '@2' and so on hold the rest, 56 bytes each, the last fewer.
local key, head = KEYS[1], args[1]
local idle, absolute, flags = struct.unpack('>I6I6B', head, 5)
local touches, manual = flags % 2 == 1, flags >= 2

local now, slack
if manual then
  -- The server's clock and the manual one differ, so the key outlives its deadline.
  now, slack = struct.unpack('>I6', head, 18), 3600000
else
  local time = redis.call('TIME')
  now, slack = time[1] * 1000 + math.floor(time[2] / 1000), 0
end

local function deadline(created, touched)
  return math.min(touched + idle, created + absolute)
end

-- Returns the metadata that begin with this piece, joined, and the number of further pieces.
local function with_pieces(whole)
  local piece, number = whole, 0
  while piece and #piece == 56 do
    piece = redis.call('HGET', key, '@' .. number + 1)
    if piece then whole, number = whole .. piece, number + 1 end
  end
  return whole, number
end

-- Adds the further pieces of the metadata to the names and values that are to be put, and returns their number.
local function put_further_pieces(puts, whole)
  local number = 0
  for start = 57, #whole, 56 do
    number = number + 1
    puts[#puts + 1] = '@' .. number
    puts[#puts + 1] = string.sub(whole, start, start + 55)
  end
  return number
end

-- Calls `HSET` and the like with any number of arguments: `unpack` takes some thousands of values only.
local function call_with_all(command, list, first)
  for start = first, #list, 1000 do
    redis.call(command, key, unpack(list, start, math.min(start + 999, #list)))
  end
end
