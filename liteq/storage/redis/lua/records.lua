-- What became of tasks. entry: number → JSON of an ended attempt; the numbers have no gaps but those of
-- pruning at their beginning, `numbers` has the first and the last; last_entry: id → number.

local function enter(m, tail)
  local entry = next_number('entry')
  local name = '[' .. cjson.encode(m.id) .. ',' .. cjson.encode(m.name) .. ','
  hset(K.entry, entry, name .. tail)
  hset(K.last_entry, m.id, entry)
end

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

local function state_of(id)
  local places = places_of(id)
  table.sort(places)
  local seq = places[#places]
  if not seq then return call('HEXISTS', K.chained, id) == 1 and 'chained' or '' end
  if call('HEXISTS', K.claim, seq) == 1 then return 'claimed' end
  if call('HEXISTS', K.dead, seq) == 1 then return 'dead' end
  if call('HGET', K.waiting, id) == seq then return 'waiting' end
  return call('ZSCORE', K.schedule, seq) and 'scheduled' or 'ready'
end

-- standing: the state of the last message of an id, its last entry, and its result if there is neither.
function read.standing()
  local id, now = text(), number()
  local state, number_of_last = state_of(id), call('HGET', K.last_entry, id)
  local entry = number_of_last and call('HGET', K.entry, number_of_last) or ''
  local result = state == '' and entry == '' and fresh_result(id, now) or false
  return {state, entry, result}
end

local function ready_count()
  local count = 0
  for _, line in ipairs(all_lines()) do count = count + call('ZCARD', line) end
  return count
end

function read.counts()
  return {
    ready_count(), call('ZCARD', K.schedule), call('HLEN', K.claim), call('HLEN', K.dead),
    call('HLEN', K.waiting),
  }
end

-- running: the claims, each with its record, its start and its progress.
function read.running()
  local reply = {}
  for _, seq in ipairs(call('HKEYS', K.claim)) do
    reply[#reply + 1] = {
      seq, call('HGET', K.claim, seq), call('HGET', K.message, seq),
      call('HGET', K.start, seq), call('HGET', K.progress, seq),
    }
  end
  return reply
end

-- note_starts: of claims that hold.
function write.note_starts()
  for _ = 1, number() do
    local seq, start = held_key(), text()
    if seq then hset(K.start, seq, start) end
  end
  return 1
end

function write.set_progress()
  local seq, progress = held_key(), text()
  if not seq then return 0 end
  hset(K.progress, seq, progress)
  return 1
end

-- progress: of the last claimed message of an id.
function read.progress()
  local found = false
  for _, seq in ipairs(places_of(text())) do
    if call('HEXISTS', K.claim, seq) == 1 then found = seq end
  end
  return found and call('HGET', K.progress, found)
end
