-- What became of tasks. entry: number → JSON of an ended attempt; the numbers have no gaps but those of
-- pruning at their beginning, `numbers` has the first and the last; last_entry: id → number.
-- Uses: lists

local function first_entry() return tonumber(call('HGET', K.numbers, 'first_entry') or 1) end
local function last_entry() return tonumber(call('HGET', K.numbers, 'entry') or 0) end

-- history: the entries from the last one on, so many at the most.
function read.history()
  local limit, numbers = optional(), {}
  local last = last_entry()
  local first = math.max(first_entry(), limit and last - limit + 1 or 1)
  for n = last, first, -1 do numbers[#numbers + 1] = n end
  local reply = {}
  for _, entry in ipairs(hmget(K.entry, numbers)) do
    if entry then reply[#reply + 1] = entry end
  end
  return reply
end

-- prune_history: deletes the oldest entries that are too many, or too old; how many.
function write.prune_history()
  local keep, before, limit = number(), optional(), number()
  local first, last = first_entry(), last_entry()
  local stop = last - keep
  if before then
    for n = first, math.min(last, first + limit - 1) do
      local entry = call('HGET', K.entry, n)
      if entry and cjson.decode(entry)[6] <= before then stop = math.max(stop, n) end
    end
  end
  stop = math.min(stop, first + limit - 1)
  if stop < first then return 0 end
  for n = first, stop do
    local entry = call('HGET', K.entry, n)
    if entry then
      local id = cjson.decode(entry)[1]
      if call('HGET', K.last_entry, id) == digits(n) then hdel(K.last_entry, id) end
      hdel(K.entry, n)
    end
  end
  hset(K.numbers, 'first_entry', stop + 1)
  return stop - first + 1
end
