-- Consumers that can't be looked at from elsewhere, and so tell that they work.
--
-- renewed: owner → "until host": when its silence has been too long, by this server's clock, and the world in
-- which its processes can be looked at.
-- Uses: leases

makes_room = true  -- nothing to speak of is added

-- renew: the consumer works. Who was taken for dead, or forgotten, is entered again, by the same number.
function write.renew()
  local owner, lasts, host, consumer, dispatcher = text(), number(), text(), text(), text()
  if call('HEXISTS', K.consumer, owner) == 0 then
    if consumer == '' then return 0 end
    raise_number('owner', tonumber(owner))
    hset(K.consumer, owner, consumer)
    if dispatcher ~= '' then hset(K.dispatcher, owner, dispatcher) end
  end
  hset(K.renewed, owner, digits(server_time() + lasts) .. ' ' .. host)
  return 1
end

local function all_lapsed(host)
  local time, lapsed = server_time(), {}
  for _, owner in ipairs(call('HKEYS', K.renewed)) do
    local ends, where = call('HGET', K.renewed, owner):match('^(%d+) (.*)$')
    if where ~= host and tonumber(ends) <= time then lapsed[#lapsed + 1] = owner end
  end
  return lapsed
end

-- lapsed: the consumers of other hosts that were not renewed in time.
function read.lapsed() return all_lapsed(text()) end

-- unregister_lapsed: strikes those off that have no claims left; number and process. Their last turns stay
-- known, for one that was only frozen goes on.
function write.unregister_lapsed()
  local lapsed, has_claims, reply = all_lapsed(text()), {}, {}
  if #lapsed == 0 then return reply end
  for _, seq in ipairs(call('HKEYS', K.claim)) do has_claims[claim_at(seq).owner] = true end
  for _, owner in ipairs(lapsed) do
    if not has_claims[owner] then
      reply[#reply + 1] = {owner, call('HGET', K.consumer, owner)}
      for _, key in ipairs({K.consumer, K.dispatcher, K.renewed}) do hdel(key, owner) end
    end
  end
  return reply
end
