-- The verbs of the result store.
-- Uses: results

-- put_result: whatever was there before.
function write.put_result()
  put_result(text(), text(), text())
  return 1
end

-- put_if_empty: unless there is one that has not expired.
function write.put_if_empty()
  local key, value, expires, now = text(), text(), text(), number()
  if fresh_result(key, now) then return 0 end
  put_result(key, value, expires)
  return 1
end

-- peek_result: none if there is none, or it has expired.
function read.peek_result() return fresh_result(text(), number()) end

-- pop_result: the same, and it is gone.
function write.pop_result()
  local key, now = text(), number()
  local value = fresh_result(key, now)
  if value then delete_result(key) end
  return value
end

-- results: keys and values that have not expired, in turns.
function read.results()
  local now, reply = number(), {}
  for _, key in ipairs(call('HKEYS', K.result)) do
    local value = fresh_result(key, now)
    if value then
      reply[#reply + 1] = key
      reply[#reply + 1] = value
    end
  end
  return reply
end

-- result_count: how many these are.
function read.result_count()
  local now = text()
  return call('HLEN', K.result) - call('ZCOUNT', K.expiry, '-inf', now)
end

-- prune_results: those that have expired, up to a number; how many.
function write.prune_results()
  local limit, now = number(), text()
  local keys = call('ZRANGEBYSCORE', K.expiry, '-inf', now, 'LIMIT', 0, limit)
  for _, key in ipairs(keys) do delete_result(key) end
  return #keys
end
