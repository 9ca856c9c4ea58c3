-- Dead messages.
-- Uses: messages

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

-- delete_dead: deletes the dead messages of some ids, and their revocations; how many.
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

-- delete_dead_before: the same of those that died before a time, up to a number.
function write.delete_dead_before()
  local before, limit = text(), number()
  local places = call('ZRANGEBYSCORE', K.died, '-inf', '(' .. before, 'LIMIT', 0, limit)
  for _, seq in ipairs(places) do delete_dead(seq) end
  return #places
end
