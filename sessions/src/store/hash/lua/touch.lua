-- Later deadlines only: another layer may let the record live longer.
local function expire_later()
  redis.call('PEXPIRE', key, string.format('%.0f', deadline(created, touched) - now + slack), 'GT')
end
