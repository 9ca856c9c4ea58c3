-- Claims. claim: place → "attempt owner revoked lease deadline boot". A lease is of the monotonic clock of
-- the claimant's boot; for hosts of another one there is the deadline, of this server's clock.

local function server_time()
  local time = call('TIME')
  return time[1] * 1000000 + time[2]
end

local function claim_at(seq)
  local claim = call('HGET', K.claim, seq)
  if not claim then return nil end
  local attempt, owner, revoked, lease, deadline, boot = claim:match('^(%d+) (%d+) (%d) (%-?%d+) (%-?%d+) (.*)$')
  return {
    attempt = attempt, owner = owner, revoked = revoked, lease = tonumber(lease),
    deadline = tonumber(deadline), boot = boot,
  }
end

local function pack_claim(c)
  return table.concat({c.attempt, c.owner, c.revoked, digits(c.lease), digits(c.deadline), c.boot}, ' ')
end

local function is_held(seq, attempt, owner)
  local claim = call('HGET', K.claim, seq)
  local start = attempt .. ' ' .. owner .. ' '
  return claim and claim:sub(1, #start) == start
end

-- The key of a claim, from the arguments; nothing if it does not hold.
local function held_key()
  local seq, attempt, owner = text(), text(), text()
  if is_held(seq, attempt, owner) then return seq end
end

local function promote(now)
  for _, seq in ipairs(call('ZRANGEBYSCORE', K.schedule, '-inf', now, 'LIMIT', 0, 5000)) do
    make_ready(seq, message_at(seq))
    zrem(K.schedule, seq)
  end
end

-- Claims in turns. A consumer numbers its calls, and says up to which one it has heard a reply. What an
-- unheard one has claimed is taken back: nobody has begun what nobody was told of. A call that is overtaken
-- by the one after it (the connection broke, and the server had not read it yet) is refused.
--
-- turn: owner → "handle number"; told: owner → the places that were claimed by it.

local function turn_before(owner, handle)
  local known, last = (call('HGET', K.turn, owner) or ''):match('^(%S+) (%d+)$')
  return known == handle and tonumber(last) or 0
end

local function take_back_unheard(owner, last, heard)
  if last <= heard then return end
  for seq in (call('HGET', K.told, owner) or ''):gmatch('%d+') do
    local claim = claim_at(seq)
    if claim and claim.owner == owner then
      hdel(K.claim, seq)
      make_ready(seq, message_at(seq))
    end
  end
end

local function end_turn(owner, claimed)
  if #claimed > 0 then hset(K.told, owner, table.concat(claimed, ' ')) else hdel(K.told, owner) end
end

-- A message as a consumer gets it: its key, whether it is revoked, its record, its data.
local function as_reply(seq, claim, record, inline)
  local length = tonumber((record:match('^%d+ %d+ %d (%d+) ')))
  local data = (inline and length > inline) and false or call('HGET', K.data, seq)
  return table.concat({seq, claim.attempt, claim.owner, claim.revoked, record}, ' '), data
end

local function claim_found(found, c)
  local reply, claimed, any_revoked = {}, {}, call('HLEN', K.revocation) > 0
  for i, it in ipairs(found) do
    local _, seq, line = unpack(it)
    local record = call('HGET', K.message, seq)
    local attempt, once = record:match('^(%d+) %d+ (%d)')
    if once == '1' and c.startable and i > c.startable then break end
    local revoked = any_revoked and use_revocation(unpack_record(record), c.now)
    local claim = {
      attempt = digits(attempt + 1), owner = c.owner, revoked = revoked and '1' or '0',
      lease = c.lease, deadline = c.deadline, boot = c.boot,
    }
    zrem(line, seq)
    hset(K.claim, seq, pack_claim(claim))
    claimed[#claimed + 1] = seq
    local head, data = as_reply(seq, claim, record, c.inline)
    reply[#reply + 1] = head
    reply[#reply + 1] = data
  end
  return reply, claimed
end

-- claim: makes due messages ready, then claims the first that are, as the contract has it.
function write.claim()
  local c = {owner = text(), limit = number(), now = number(), lease = number()}
  c.deadline = server_time() + number()
  c.boot, c.startable, c.inline = text(), optional(), optional()
  local only = text()
  promote(c.now)
  if c.limit <= 0 then return {}, {} end
  return claim_found(only ~= '' and ready_of_id(only, c.limit) or not_paused(c.limit), c)
end

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

function read.data_of()
  local seq = held_key()
  return seq and call('HGET', K.data, seq) or false
end

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
