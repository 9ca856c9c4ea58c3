-- The ends of claims: what an outcome stores, and what becomes of the message.
-- Uses: messages leases results holders

makes_room = true

-- A settlement, from the arguments: its head, what is entered of it, its results, messages and joins.
local function read_outcome()
  local o = {}
  o.seq, o.attempt, o.owner, o.disposition, o.crashed, o.restores, o.enters =
    text():match('^(%d+) (%d+) (%d+) (%d) (%d) (%d) (%d)$')
  o.entry, o.death, o.reason = text(), text(), text()
  o.results, o.joins = {}, {}
  for i = 1, number() do o.results[i] = {text(), text()} end
  o.messages = read_messages()
  for i = 1, number() do o.joins[i] = {text(), text(), text(), text()} end
  return o
end

-- Enter an attempt in the history; see there.
local function enter(m, tail)
  local entry = next_number('entry')
  local name = '[' .. cjson.encode(m.id) .. ',' .. cjson.encode(m.name) .. ','
  hset(K.entry, entry, name .. tail)
  hset(K.last_entry, m.id, entry)
end

-- Keep the end of a chord's member; a callback that misses none any more becomes ready.
local function note_end(chord, position, kind, value, now)
  local seq = call('HGET', K.waiting, chord)
  if not seq then return end
  local place = seq .. ':' .. position
  if call('HEXISTS', K.ends, place) == 1 then return end
  hset(K.ends, place, kind .. ' ' .. digits(now) .. ' ' .. value)
  if hincrby(K.missing, seq, -1) > 0 then return end
  hdel(K.missing, seq)
  hdel(K.waiting, chord)
  line_up(seq, message_at(seq), now)
end

local function store_effects(o, now, expires)
  for _, it in ipairs(o.results) do put_result(it[1], it[2], expires) end
  store_messages(o.messages, now)
  for _, join in ipairs(o.joins) do note_end(join[1], join[2], join[3], join[4], now) end
end

local function release_locks_of(seq)
  local held = call('HGET', K.locked, seq)
  if not held then return end
  for _, it in ipairs(cjson.decode(held)) do remove_holder(it[1], it[2], seq) end
  hdel(K.locked, seq)
end

local function forget_attempt(seq)
  hdel(K.claim, seq)
  hdel(K.start, seq)
  hdel(K.progress, seq)
  release_locks_of(seq)
end

-- 0: done; 1: back; 2: crashed, and back; 3: dead.
local function end_message(o, m, now)
  m.attempt, m.crashes = tonumber(o.attempt), m.crashes + tonumber(o.crashed)
  if o.disposition == '0' then
    count_chain(m, -1)
    delete_message(o.seq, m)
    if o.restores == '1' then hdel(K.revocation, 'r:' .. m.id) end
    ended = true
    return
  end
  hset(K.message, o.seq, pack_record(m))
  if o.disposition == '3' then
    count_chain(m, -1)
    hset(K.dead, o.seq, digits(now) .. ' ' .. o.death .. ' ' .. o.reason)
    zadd(K.died, now, o.seq)
    ended = true
  else
    make_ready(o.seq, m)
  end
end

local function settle_one(o, now, expires)
  if not is_held(o.seq, o.attempt, o.owner) then return 0 end
  local m = message_at(o.seq)
  forget_attempt(o.seq)
  if o.enters == '1' then enter(m, o.entry) end
  end_message(o, m, now)
  store_effects(o, now, expires)
  return 1
end

local function read_outcomes()
  local list = {}
  for i = 1, number() do list[i] = read_outcome() end
  for _, o in ipairs(list) do
    local waits = callback_that_waits(o.messages)
    if waits then return list, waits end
  end
  return list
end

-- settle: ends each claim that holds, with all effects of its outcome; for each, whether it held.
function write.settle()
  local now, expires = number(), text()
  local list, waits = read_outcomes()
  if waits then return refuse(waits) end
  local reply = {}
  for i, o in ipairs(list) do reply[i] = settle_one(o, now, expires) end
  return reply
end

-- apply: the effects alone.
function write.apply()
  local now, expires = number(), text()
  local list, waits = read_outcomes()
  if waits then return refuse(waits) end
  for _, o in ipairs(list) do store_effects(o, now, expires) end
  return 1
end
