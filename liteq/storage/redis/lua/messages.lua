-- Messages: their records, their places, the ids that are live.
--
-- message: place → "attempt crashes once length JSON", the JSON being [id, name, priority, chain, joins,
-- gathers, due]; data: place → bytes; ids: id → its places; chained: id → how many messages carry it as a
-- later stage.

local function unpack_record(record)
  local attempt, crashes, once, length, json = record:match('^(%d+) (%d+) (%d) (%d+) (.*)$')
  local id, name, priority, chain, joins, gathers, due = unpack(cjson.decode(json))
  return {
    attempt = tonumber(attempt), crashes = tonumber(crashes), once = once, length = length, json = json,
    id = id, name = name, priority = priority, chain = chain, joins = joins,
    gathers = gathers ~= cjson.null and gathers or nil, due = due ~= cjson.null and due or nil,
  }
end

local function pack_record(m)
  return m.attempt .. ' ' .. m.crashes .. ' ' .. m.once .. ' ' .. m.length .. ' ' .. m.json
end

local function message_at(seq) return unpack_record(call('HGET', K.message, seq)) end

local function places_of(id)
  local places = {}
  for seq in (call('HGET', K.ids, id) or ''):gmatch('%d+') do places[#places + 1] = seq end
  return places
end

-- A stage of a pipeline is live with the message that carries it, unless that is dead.
local function count_chain(m, by)
  for _, id in ipairs(m.chain) do
    if hincrby(K.chained, id, by) == 0 then hdel(K.chained, id) end
  end
end

local function make_ready(seq, m)
  zadd(K.ready, -m.priority, seq)
  new_work = true
end

-- Where a message belongs that waits for nothing but its time.
local function line_up(seq, m, now)
  if m.due and m.due > now then
    zadd(K.schedule, m.due, seq)
    new_work = true
  else
    make_ready(seq, m)
  end
end

local function read_messages()
  local list = {}
  for i = 1, number() do
    local record = text()
    list[i] = {record = record, m = unpack_record(record), data = text()}
  end
  return list
end

-- The id of a callback that waits already, or is twice in the list.
local function callback_that_waits(list)
  local new = {}
  for _, it in ipairs(list) do
    if it.m.gathers and it.m.gathers > 0 then
      if new[it.m.id] or call('HEXISTS', K.waiting, it.m.id) == 1 then return it.m.id end
      new[it.m.id] = true
    end
  end
end

local function store_messages(list, now)
  if #list == 0 then return end
  local last = hincrby(K.numbers, 'message', #list)
  for i, it in ipairs(list) do
    local seq, m = padded(last - #list + i), it.m
    hset(K.message, seq, it.record)
    hset(K.data, seq, it.data)
    local others = call('HGET', K.ids, m.id)
    hset(K.ids, m.id, others and others .. ' ' .. seq or seq)
    count_chain(m, 1)
    if m.gathers and m.gathers > 0 then
      hset(K.waiting, m.id, seq)
      hset(K.missing, seq, m.gathers)
    else
      line_up(seq, m, now)
    end
  end
end

-- Let nothing be left of a message that has left its line, but for what others know of it.
local function delete_message(seq, m)
  hdel(K.message, seq)
  hdel(K.data, seq)
  for position = 0, (m.gathers or 0) - 1 do hdel(K.ends, seq .. ':' .. position) end
  local others = {}
  for _, place in ipairs(places_of(m.id)) do
    if place ~= seq then others[#others + 1] = place end
  end
  if #others > 0 then hset(K.ids, m.id, table.concat(others, ' ')) else hdel(K.ids, m.id) end
end

local function refuse(id)
  return {err = 'LITEQ WAITS ' .. id}
end

-- New messages that are ready at once come by a plain command, as the fastest way, and wait in a list: each
-- is "length of the record, record, data". They are taken in before anything else is done, some at a time, so
-- that a million of them hold nobody up. True when the list is empty.
function absorb()
  local new = call('LRANGE', K.inbox, 0, 1999)
  if #new == 0 then return true end
  local list = {}
  for i, it in ipairs(new) do
    local length, from = it:match('^(%d+) ()')
    local till = from + length
    local record = it:sub(from, till - 1)
    list[i] = {record = record, m = unpack_record(record), data = it:sub(till)}
  end
  store_messages(list, math.huge)
  call('LTRIM', K.inbox, #new, -1)
  hincrby(K.numbers, 'version', #new)
  new_work = false  -- whoever brought them has told of them
  return #new < 2000
end

-- put: stores all or none; a callback whose id waits already is refused.
function write.put()
  local now, list = number(), read_messages()
  local waits = callback_that_waits(list)
  if waits then return refuse(waits) end
  store_messages(list, now)
  return 1
end
