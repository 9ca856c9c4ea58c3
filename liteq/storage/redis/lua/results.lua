-- Results. result: key → value; expiry: the keys of those that expire, by when.

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
