-- Counters.

-- incr: refused if it would leave the range of 64 bits.
function write.incr()
  local key, amount = text(), text()
  local old = call('HGET', K.counter, key)
  local done = redis.pcall('HINCRBY', K.counter, key, amount)
  if type(done) == 'table' and done.err then return {err = 'LITEQ OVERFLOW ' .. (old or '0')} end
  changed = true
  if undo then
    if old then note('HSET', K.counter, key, old) else note('HDEL', K.counter, key) end
  end
  return call('HGET', K.counter, key)
end

-- counter: what it is; none if there is none.
function read.counter() return call('HGET', K.counter, text()) end

-- delete_counter: whether there was one.
function write.delete_counter() return hdel(K.counter, text()) and 1 or 0 end
