-- Looks at large hashes, some of it at a time.

-- Some fields of one of the queue's hashes: those after the ones of the last look. A small one is seen whole.
local function some_of(name)
  local cursor = call('HGET', K.numbers, name .. '_cursor') or '0'
  local following, found = unpack(call('HSCAN', K[name], cursor, 'COUNT', 200))
  if following ~= cursor then hset(K.numbers, name .. '_cursor', following) end
  local fields = {}
  for i = 1, #found, 2 do fields[#fields + 1] = found[i] end
  return fields
end
