-- The verbs about revocations.

-- revoke: whatever was there before.
function write.revoke()
  hset(K.revocation, text(), text())
  new_work = true
  return 1
end

-- restore: whether there was a revocation.
function write.restore() return hdel(K.revocation, text()) and 1 or 0 end

-- revocations: those of some keys; none for those that have none.
function read.revocations()
  local reply = {}
  for i, key in ipairs(texts()) do reply[i] = call('HGET', K.revocation, key) end
  return reply
end
