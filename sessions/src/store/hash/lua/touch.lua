-- Moves the deadline of the key, but never to an earlier time: another layer may let the record live longer.
local function expire_later()
  redis.call('PEXPIRE', key, string.format('%.0f', deadline(created, touched) - now + slack), 'GT')
end
