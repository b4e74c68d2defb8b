-- Deletes the record if the first of the fields args[3], args[4] and so on that it has holds args[2].
for index = 3, #args do
  local stored = redis.call('HGET', key, args[index])
  if stored then
    if stored ~= args[2] then return 0 end
    return redis.call('DEL', key)
  end
end
return 0
