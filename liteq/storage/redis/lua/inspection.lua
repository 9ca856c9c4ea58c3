-- What the queue holds.
-- Uses: lists lines

local function data_at(places)
  return hmget(K.data, places)
end

-- pending: the data of the first ready messages, paused ones among them, in their order.
function read.pending()
  local limit, places = number(), {}
  if limit == 0 then return {} end
  for i, it in ipairs(first_of(all_lines(), limit)) do places[i] = it[2] end
  return data_at(places)
end

-- scheduled: the data of the first scheduled messages, the earliest first.
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

local function ready_count()
  local count = 0
  for _, line in ipairs(all_lines()) do count = count + call('ZCARD', line) end
  return count
end

-- counts: how many are ready, scheduled, claimed, dead, waiting.
function read.counts()
  return {
    ready_count(), call('ZCARD', K.schedule), call('HLEN', K.claim), call('HLEN', K.dead),
    call('HLEN', K.waiting),
  }
end
