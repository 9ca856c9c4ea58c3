-- Claims in turns. A consumer numbers its calls, and says up to which one it has heard a reply. What an
-- unheard one has claimed is taken back: nobody has begun what nobody was told of. A call that is overtaken
-- by the one after it (the connection broke, and the server had not read it yet) is refused.
--
-- turn: owner → "handle number"; told: owner → the places that were claimed by it.
-- Uses: messages lines leases revocations

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

local function promote(now)
  for _, seq in ipairs(call('ZRANGEBYSCORE', K.schedule, '-inf', now, 'LIMIT', 0, 5000)) do
    make_ready(seq, message_at(seq))
    zrem(K.schedule, seq)
  end
end

local function park(seq, line, m)
  zrem(line, seq)
  zadd(K['parked:' .. m.name], -m.priority, seq)
  if call('SISMEMBER', K.parked, m.name) == 0 then
    if undo then note('SREM', K.parked, m.name) end
    call('SADD', K.parked, m.name)
  end
end

local function forget_empty_lines()
  for _, name in ipairs(call('SMEMBERS', K.parked)) do
    if call('EXISTS', K['parked:' .. name]) == 0 then
      if undo then note('SADD', K.parked, name) end
      call('SREM', K.parked, name)
    end
  end
end

-- The first ready messages that are not paused; those before them that are paused are parked, up to a number.
local function not_paused(limit)
  forget_empty_lines()
  if call('HLEN', K.pauses) == 0 then return first_of(lines_to_claim_from(), limit) end
  if call('HEXISTS', K.pauses, '') == 1 then return {} end
  local found, parked = {}, 0
  local lines = lines_to_claim_from()
  repeat
    local again = false
    found = first_of(lines, limit)
    for i = #found, 1, -1 do
      local _, seq, line = unpack(found[i])
      local m = message_at(seq)
      if call('HEXISTS', K.pauses, m.name) == 1 then
        park(seq, line, m)
        table.remove(found, i)
        parked = parked + 1
        again = true
      end
    end
  until not again or parked >= 2000
  if parked >= 2000 and #found < limit then new_work = true end
  return found
end

local function ready_of_id(id, limit)
  local found = {}
  for _, seq in ipairs(places_of(id)) do
    for _, line in ipairs(all_lines()) do
      local rank = call('ZSCORE', line, seq)
      if rank and #found < limit then found[#found + 1] = {tonumber(rank), seq, line} end
    end
  end
  return found
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
