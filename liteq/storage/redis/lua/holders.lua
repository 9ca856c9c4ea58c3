-- Locks. lock: name → JSON of {token: [host, pid, started, place, attempt, owner, expires, deadline, boot]},
-- with '' for what it has not; locked: place of a claim → JSON of the [name, token] that are held for it.

local function holders_of(name)
  local held = call('HGET', K.lock, name)
  return held and cjson.decode(held) or {}
end

local function store_holders(name, holders)
  if next(holders) then hset(K.lock, name, cjson.encode(holders)) else hdel(K.lock, name) end
end

-- The entry goes with the attempt, unless another one has the token by now.
local function remove_holder(name, token, seq)
  local holders = holders_of(name)
  if holders[token] and holders[token][4] == seq then
    holders[token] = nil
    store_holders(name, holders)
  end
end
