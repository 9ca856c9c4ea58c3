-- The verbs about revocations.

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
