-- Claims and their leases.
--
-- claim: place → "attempt owner revoked lease deadline boot". A lease is of the monotonic clock of
-- the claimant's boot; for hosts of another one there is the deadline, of this server's clock.

local function server_time()
  local time = call('TIME')
  return time[1] * 1000000 + time[2]
end

local function claim_at(seq)
  local claim = call('HGET', K.claim, seq)
  if not claim then return nil end
  local attempt, owner, revoked, lease, deadline, boot =
    claim:match('^(%d+) (%d+) (%d) (%-?%d+) (%-?%d+) (.*)$')
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

-- A message as a consumer gets it: its key, whether it is revoked, its record, its data.
local function as_reply(seq, claim, record, inline)
  local length = tonumber((record:match('^%d+ %d+ %d (%d+) ')))
  local data = (inline and length > inline) and false or call('HGET', K.data, seq)
  return table.concat({seq, claim.attempt, claim.owner, claim.revoked, record}, ' '), data
end
