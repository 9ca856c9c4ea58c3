-- The lines of ready messages, and pauses.
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

local function park(seq, line, m)
  zrem(line, seq)
  zadd(K['parked:' .. m.name], -m.priority, seq)
  if call('SISMEMBER', K.parked, m.name) == 0 then
    if undo then note('SREM', K.parked, m.name) end
    call('SADD', K.parked, m.name)
  end
end

local function forget_empty_lines()
  for _, name in ipairs(call('SMEMBERS', K.parked)) do
    if call('EXISTS', K['parked:' .. name]) == 0 then
      if undo then note('SADD', K.parked, name) end
      call('SREM', K.parked, name)
    end
  end
end

-- The first ready messages that are not paused; those before them that are paused are parked, up to a number.
local function not_paused(limit)
  forget_empty_lines()
  if call('HLEN', K.pauses) == 0 then return first_of(lines_to_claim_from(), limit) end
  if call('HEXISTS', K.pauses, '') == 1 then return {} end
  local found, parked = {}, 0
  local lines = lines_to_claim_from()
  repeat
    local again = false
    found = first_of(lines, limit)
    for i = #found, 1, -1 do
      local _, seq, line = unpack(found[i])
      local m = message_at(seq)
      if call('HEXISTS', K.pauses, m.name) == 1 then
        park(seq, line, m)
        table.remove(found, i)
        parked = parked + 1
        again = true
      end
    end
  until not again or parked >= 2000
  if parked >= 2000 and #found < limit then new_work = true end
  return found
end

local function ready_of_id(id, limit)
  local found = {}
  for _, seq in ipairs(places_of(id)) do
    for _, line in ipairs(all_lines()) do
      local rank = call('ZSCORE', line, seq)
      if rank and #found < limit then found[#found + 1] = {tonumber(rank), seq, line} end
    end
  end
  return found
end

function read.top_priority()
  if call('HEXISTS', K.pauses, '') == 1 then return false end
  local first = first_of(lines_to_claim_from(), 1)[1]
  return first and digits(-first[1]) or false
end

-- pause: a name, or '' for the whole queue; whether it was not paused before.
function write.pause()
  local name = text()
  new_work = true
  if call('HEXISTS', K.pauses, name) == 1 then return 0 end
  hset(K.pauses, name, 1)
  return 1
end

function write.resume()
  if not hdel(K.pauses, text()) then return 0 end
  new_work = true
  return 1
end

function read.paused() return call('HKEYS', K.pauses) end
