-- The verbs about locks.
-- Uses: leases holders scanning

-- The columns of a holder.
local PLACE, ATTEMPT, OWNER, EXPIRES, DEADLINE, BOOT = 4, 5, 6, 7, 8, 9

-- Whose time is over: by the clock of one's own boot, or the server's for others.
local function is_over(holder, now, boot)
  if holder[EXPIRES] == '' then return false end
  if holder[BOOT] == boot then return tonumber(holder[EXPIRES]) <= now end
  return tonumber(holder[DEADLINE]) <= server_time()
end

local function is_of_one(a, b)
  for i = 1, OWNER do if a[i] ~= b[i] then return false end end
  return true
end

local function is_of_process(a, b)
  return a[1] == b[1] and a[2] == b[2] and a[3] == b[3]
end

-- A holder, from the arguments: its name, its token, the rest; and the clock to judge others by.
local function read_holder()
  local name, token, holder = text(), text(), {}
  for i = 1, EXPIRES do holder[i] = text() end
  local left = optional()
  holder[DEADLINE] = left and digits(server_time() + left) or ''
  holder[BOOT] = text()
  return name, token, holder, number()
end

local function note_lock_of(seq, name, token)
  local held = call('HGET', K.locked, seq)
  local list = held and cjson.decode(held) or {}
  list[#list + 1] = {name, token}
  hset(K.locked, seq, cjson.encode(list))
end

-- acquire_lock: if fewer than `limit` others hold it, and the attempt, if any, still has its claim.
function write.acquire_lock()
  local name, token, holder, now = read_holder()
  local limit, holders, others = number(), holders_of(name), 0
  for other, it in pairs(holders) do
    if is_over(it, now, holder[BOOT]) then holders[other] = nil
    elseif other ~= token then others = others + 1 end
  end
  local seq = holder[PLACE]
  if others >= limit or (seq ~= '' and not is_held(seq, holder[ATTEMPT], holder[OWNER])) then return 0 end
  if holders[token] and not is_of_one(holders[token], holder) then return 0 end
  if seq ~= '' and not holders[token] then note_lock_of(seq, name, token) end
  holders[token] = holder
  store_holders(name, holders)
  return 1
end

local function own(name, token, holder, now)
  local holders = holders_of(name)
  local mine = holders[token]
  if mine and is_of_process(mine, holder) and not is_over(mine, now, holder[BOOT]) then
    return holders, mine
  end
end

-- renew_lock: gives it another end, if this process holds it.
function write.renew_lock()
  local name, token, holder, now = read_holder()
  local holders, mine = own(name, token, holder, now)
  if not mine then return 0 end
  for _, i in ipairs({EXPIRES, DEADLINE, BOOT}) do mine[i] = holder[i] end
  store_holders(name, holders)
  return 1
end

-- release_lock: gives it up, if this process holds it.
function write.release_lock()
  local name, token, holder, now = read_holder()
  local holders, mine = own(name, token, holder, now)
  if not mine then return 0 end
  holders[token] = nil
  store_holders(name, holders)
  return 1
end

-- locks: of a name, or of all: for each its name, its token, the rest; deadlines as times that are left.
function read.locks()
  local names, now, boot, reply = texts(), number(), text(), {}
  if #names == 0 then names = call('HKEYS', K.lock) end
  local time = server_time()
  for _, name in ipairs(names) do
    for token, holder in pairs(holders_of(name)) do
      if not is_over(holder, now, boot) then
        if holder[EXPIRES] ~= '' and holder[BOOT] ~= boot then
          holder[EXPIRES] = digits(now + holder[DEADLINE] - time)
        end
        reply[#reply + 1] = {name, token, unpack(holder)}
      end
    end
  end
  return reply
end

-- clear_locks: of some names, or of all; the names of those that were held.
function write.clear_locks()
  local all, names = text(), texts()
  local now, boot, cleared = number(), text(), {}
  if all == '1' then names = call('HKEYS', K.lock) end
  for _, name in ipairs(names) do
    local held = false
    for _, holder in pairs(holders_of(name)) do held = held or not is_over(holder, now, boot) end
    if held then cleared[#cleared + 1] = name end
    hdel(K.lock, name)
  end
  return cleared
end

-- prune_locks: deletes holders whose time is over, up to a number; how many.
function write.prune_locks()
  local limit, now, boot, pruned = number(), number(), text(), 0
  for _, name in ipairs(some_of('lock')) do
    local holders, before = holders_of(name), pruned
    for token, holder in pairs(holders) do
      if pruned < limit and is_over(holder, now, boot) then
        holders[token] = nil
        pruned = pruned + 1
      end
    end
    if pruned > before then store_holders(name, holders) end
  end
  return pruned
end
