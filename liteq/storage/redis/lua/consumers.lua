-- Consumers. consumer: owner → JSON of the process;
-- dispatcher: owner → that of the one that attends to it.

-- register: enters a consumer; its number, which is never given again, though the server may forget what it has
-- given: they go on from the time in seconds.
function write.register()
  raise_number('owner', number())
  local owner = digits(next_number('owner'))
  hset(K.consumer, owner, text())
  return owner
end

-- attend: notes which process claims and settles for a consumer that is entered.
function write.attend()
  local owner, process = text(), text()
  if call('HEXISTS', K.consumer, owner) == 1 then hset(K.dispatcher, owner, process) end
  return 1
end

-- unregister: strikes a consumer off; its claims stay.
function write.unregister()
  local owner = text()
  hdel(K.consumer, owner)
  hdel(K.dispatcher, owner)
  hdel(K.renewed, owner)
  hdel(K.turn, owner)
  hdel(K.told, owner)
  return 1
end

-- consumers: all of them: number, process, and the one that attends to it.
function read.consumers()
  local reply = {}
  for _, owner in ipairs(call('HKEYS', K.consumer)) do
    reply[#reply + 1] = {owner, call('HGET', K.consumer, owner), call('HGET', K.dispatcher, owner)}
  end
  return reply
end


-- version: changes with each change of the queue.
function read.version()
  return (call('HGET', K.numbers, 'version') or 0) + call('LLEN', K.inbox)
end
