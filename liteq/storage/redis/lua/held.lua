-- Claims that are held.
-- Uses: messages leases revocations lists

makes_room = true  -- who can't extend leases loses them, and the memory is used up all the same

local function all_claims(wanted, inline)
  local reply, all = {}, call('HKEYS', K.claim)
  for _, seq in ipairs(all) do
    local claim = claim_at(seq)
    if wanted(claim) then
      local head, data = as_reply(seq, claim, call('HGET', K.message, seq), inline)
      reply[#reply + 1] = head
      reply[#reply + 1] = data
    end
  end
  return reply
end

-- extend: moves the end of all leases of an owner; how many.
function write.extend()
  local owner, lease, left, boot, count = text(), number(), number(), text(), 0
  local deadline = server_time() + left
  for _, seq in ipairs(call('HKEYS', K.claim)) do
    local claim = claim_at(seq)
    if claim.owner == owner then
      claim.lease, claim.deadline, claim.boot = lease, deadline, boot
      hset(K.claim, seq, pack_claim(claim))
      count = count + 1
    end
  end
  return count
end

-- held: the claims of a consumer.
function read.held()
  local owner, inline = text(), optional()
  return all_claims(function(claim) return claim.owner == owner end, inline)
end

-- expired: by the clock of one's own boot where the claim is of that, else by the server's.
function read.expired()
  local now, boot, time = number(), text(), server_time()
  return all_claims(function(claim)
    if claim.boot == boot then return claim.lease <= now end
    return claim.deadline <= time
  end)
end

-- data_of: the data of a claimed message; none if the claim does not hold.
function read.data_of()
  local seq = held_key()
  return seq and call('HGET', K.data, seq) or false
end

-- is_claimed: whether a message of an id is.
function read.is_claimed()
  for _, seq in ipairs(places_of(text())) do
    if call('HEXISTS', K.claim, seq) == 1 then return 1 end
  end
  return 0
end

-- revoked_claims: of an owner, what was revoked after it was claimed: the key, and whether to terminate it.
function read.revoked_claims()
  local owner, now, reply = text(), number(), {}
  if call('HLEN', K.revocation) == 0 then return reply end
  for _, seq in ipairs(call('HKEYS', K.claim)) do
    local claim = claim_at(seq)
    if claim.owner == owner and claim.revoked == '0' then
      local m, revoked, terminate = message_at(seq), false, false
      for _, key in ipairs({'r:' .. m.id, 'rt:' .. m.name}) do
        local found = get_revocation(key)
        if holds(found, now) then revoked, terminate = true, terminate or found.terminate end
      end
      if revoked then reply[#reply + 1] = {seq, claim.attempt, terminate and 1 or 0} end
    end
  end
  return reply
end
