-- The lines of ready messages, and pauses.
-- Uses: messages
--
-- What a claim meets of a paused name goes from `ready` to a line of that name. Once the name is resumed, that
-- line is claimed from as well until it is empty: nothing has to be brought back.

local function lines_to_claim_from()
  local lines = {K.ready}
  for _, name in ipairs(call('SMEMBERS', K.parked)) do
    if call('HEXISTS', K.pauses, name) == 0 then lines[#lines + 1] = K['parked:' .. name] end
  end
  return lines
end

local function all_lines()
  local lines = {K.ready}
  for _, name in ipairs(call('SMEMBERS', K.parked)) do lines[#lines + 1] = K['parked:' .. name] end
  return lines
end

-- The first `limit` places of some lines, by priority and then by age: rank, place, line.
local function first_of(lines, limit)
  local found = {}
  for _, line in ipairs(lines) do
    local places = call('ZRANGE', line, 0, limit - 1, 'WITHSCORES')
    for i = 1, #places, 2 do found[#found + 1] = {tonumber(places[i + 1]), places[i], line} end
  end
  if #lines > 1 then
    table.sort(found, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)
  end
  for i = #found, limit + 1, -1 do found[i] = nil end
  return found
end
