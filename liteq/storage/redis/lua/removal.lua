-- Messages that are taken out of their lines for good.
-- Uses: messages

-- withdraw: removes ready and scheduled messages on which no others depend; their ids.
function write.withdraw()
  local withdrawn = {}
  for _, id in ipairs(texts()) do
    local found = false
    for _, seq in ipairs(places_of(id)) do
      local m = message_at(seq)
      if #m.chain == 0 and m.joins == cjson.null and not m.gathers then
        if zrem(K.ready, seq) or zrem(K.schedule, seq) or zrem(K['parked:' .. m.name], seq) then
          delete_message(seq, m)
          found = true
        end
      end
    end
    if found then withdrawn[#withdrawn + 1] = id end
  end
  ended = ended or #withdrawn > 0
  return withdrawn
end

-- take_due: removes what is due; for each its data, whether it is a callback, and its members' ends.
function write.take_due()
  local now, taken = text(), {}
  for _, seq in ipairs(call('ZRANGEBYSCORE', K.schedule, '-inf', now)) do
    local m = message_at(seq)
    local data, members = call('HGET', K.data, seq), {}
    for position = 0, (m.gathers or 0) - 1 do
      local kept = call('HGET', K.ends, seq .. ':' .. position)
      if kept then members[#members + 1] = kept end
    end
    taken[#taken + 1] = {data, m.gathers and 1 or 0, members}
    zrem(K.schedule, seq)
    count_chain(m, -1)
    delete_message(seq, m)
    ended = true
  end
  return taken
end
