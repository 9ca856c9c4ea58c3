-- What the queue holds.

local function data_at(places)
  return hmget(K.data, places)
end

function read.pending()
  local limit, places = number(), {}
  if limit == 0 then return {} end
  for i, it in ipairs(first_of(all_lines(), limit)) do places[i] = it[2] end
  return data_at(places)
end

function read.scheduled()
  local limit = number()
  if limit == 0 then return {} end
  return data_at(call('ZRANGE', K.schedule, 0, limit - 1))
end

-- dead: the latest first; for each its record, its data and the note of its death.
function read.dead()
  local limit, reply = number(), {}
  if limit == 0 then return reply end
  for _, seq in ipairs(call('ZREVRANGE', K.died, 0, limit - 1)) do
    reply[#reply + 1] = {call('HGET', K.message, seq), call('HGET', K.data, seq), call('HGET', K.dead, seq)}
  end
  return reply
end

-- revive: dead messages become ready again, with no crash on their account; how many.
function write.revive()
  local revived = 0
  for _, id in ipairs(texts()) do
    for _, seq in ipairs(places_of(id)) do
      if hdel(K.dead, seq) then
        zrem(K.died, seq)
        local m = message_at(seq)
        m.crashes = 0
        hset(K.message, seq, pack_record(m))
        count_chain(m, 1)
        make_ready(seq, m)
        revived = revived + 1
      end
    end
  end
  return revived
end

local function delete_dead(seq)
  local m = message_at(seq)
  hdel(K.dead, seq)
  zrem(K.died, seq)
  delete_message(seq, m)
  hdel(K.revocation, 'r:' .. m.id)
end

function write.delete_dead()
  local deleted = 0
  for _, id in ipairs(texts()) do
    for _, seq in ipairs(places_of(id)) do
      if call('HEXISTS', K.dead, seq) == 1 then
        delete_dead(seq)
        deleted = deleted + 1
      end
    end
  end
  return deleted
end

function write.delete_dead_before()
  local before, limit = text(), number()
  local places = call('ZRANGEBYSCORE', K.died, '-inf', '(' .. before, 'LIMIT', 0, limit)
  for _, seq in ipairs(places) do delete_dead(seq) end
  return #places
end

-- flush: all but the consumers, the pauses, what is known of periodic tasks, and the numbers that fence
-- old claims.
function write.flush()
  for _, line in ipairs(all_lines()) do drop(line) end
  for _, name in ipairs({
    'parked', 'message', 'data', 'ids', 'chained', 'schedule', 'waiting', 'missing', 'ends', 'claim', 'start',
    'progress', 'dead', 'died', 'result', 'expiry', 'revocation', 'entry', 'last_entry', 'lock', 'locked',
    'limit', 'hit', 'counter', 'told',
  }) do drop(K[name]) end
  hset(K.numbers, 'first_entry', last_entry() + 1)
  ended, new_work = true, true
  return 1
end
