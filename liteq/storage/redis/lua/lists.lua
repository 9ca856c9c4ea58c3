-- Commands about many things at once.

-- Many arguments of one command: Lua's stack holds some thousands.
local function in_chunks(list, use)
  for i = 1, #list, 1000 do use(unpack(list, i, math.min(i + 999, #list))) end
end

local function hmget(key, fields)
  local values = {}
  in_chunks(fields, function(...)
    local found = call('HMGET', key, ...)
    for i = 1, select('#', ...) do values[#values + 1] = found[i] end
  end)
  return values
end
