-- A commit of puts alone: args[2], args[3] and so on are names and values.
if string.sub(stored, 1, 4) ~= string.sub(head, 1, 4) then return -1 end
if touches then
  touched = math.max(touched, now)
  args[#args + 1] = '@'
  args[#args + 1] = struct.pack('>c10I6c32', string.sub(stored, 1, 10), touched, string.sub(stored, 17))
end
call_with_all('HSET', args, 2)
if touches then expire_later() end
return 1
