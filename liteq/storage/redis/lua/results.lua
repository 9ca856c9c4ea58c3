-- Results and revocations. result: key → value; expiry: the keys of those that expire, by when.
-- revocation: key → "until once terminate", the first empty if it holds until it is restored.

local function fresh_result(key, now)
  local value = call('HGET', K.result, key)
  if not value then return false end
  local expires = call('ZSCORE', K.expiry, key)
  return (not expires or tonumber(expires) > now) and value
end

local function delete_result(key)
  hdel(K.result, key)
  zrem(K.expiry, key)
end

local function put_result(key, value, expires)
  hset(K.result, key, value)
  if expires ~= '' then zadd(K.expiry, expires, key) else zrem(K.expiry, key) end
  ended = true
end

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

function read.peek_result() return fresh_result(text(), number()) end

function write.pop_result()
  local key, now = text(), number()
  local value = fresh_result(key, now)
  if value then delete_result(key) end
  return value
end

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

function read.result_count()
  local now = text()
  return call('HLEN', K.result) - call('ZCOUNT', K.expiry, '-inf', now)
end

-- ended: those ids that have a result or are not live.
function read.ended()
  local now, reply = number(), {}
  for _, id in ipairs(texts()) do
    if fresh_result(id, now) or not is_live(id) then reply[#reply + 1] = id end
  end
  return reply
end

-- Revocations

local function get_revocation(key)
  local found = call('HGET', K.revocation, key)
  if not found then return nil end
  local till, once, terminate = found:match('^(%-?%d*) (%d) (%d)$')
  return {till = tonumber(till), once = once == '1', terminate = terminate == '1'}
end

local function holds(revocation, now)
  return revocation and (revocation.once or not revocation.till or revocation.till > now)
end

-- Whether a message must not run. A revocation of its name for once becomes its own, so that the decision
-- outlives a worker that dies before it reports it.
local function use_revocation(m, now)
  if holds(get_revocation('r:' .. m.id), now) then return true end
  local of_name = get_revocation('rt:' .. m.name)
  if not holds(of_name, now) then return false end
  if of_name.once then
    hdel(K.revocation, 'rt:' .. m.name)
    hset(K.revocation, 'r:' .. m.id, ' 1 0')
  end
  return true
end

function write.revoke()
  hset(K.revocation, text(), text())
  new_work = true
  return 1
end

function write.restore() return hdel(K.revocation, text()) and 1 or 0 end

function read.revocations()
  local reply = {}
  for i, key in ipairs(texts()) do reply[i] = call('HGET', K.revocation, key) end
  return reply
end
