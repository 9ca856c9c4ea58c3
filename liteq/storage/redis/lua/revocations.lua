-- Revocations. revocation: key → "until once terminate", the first empty if it holds until it is restored.

local function get_revocation(key)
  local found = call('HGET', K.revocation, key)
  if not found then return nil end
  local till, once, terminate = found:match('^(%-?%d*) (%d) (%d)$')
  return {till = tonumber(till), once = once == '1', terminate = terminate == '1'}
end

local function holds(revocation, now)
  return revocation and (revocation.once or not revocation.till or revocation.till > now)
end

-- Whether a message must not run. A revocation of its name for once becomes its own, so that the decision
-- outlives a worker that dies before it reports it.
local function use_revocation(m, now)
  if holds(get_revocation('r:' .. m.id), now) then return true end
  local of_name = get_revocation('rt:' .. m.name)
  if not holds(of_name, now) then return false end
  if of_name.once then
    hdel(K.revocation, 'rt:' .. m.name)
    hset(K.revocation, 'r:' .. m.id, ' 1 0')
  end
  return true
end
