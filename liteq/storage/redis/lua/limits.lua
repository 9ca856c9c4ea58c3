-- Rate limits. limit: name → "first last stamp", the numbers of its hits and what changes with
-- each; hit: "number name" → "boot ticks wall until", as the caller's clock had it.
-- Uses: scanning

local function range_of(name)
  local first, last, stamp = (call('HGET', K.limit, name) or '1 0 0'):match('^(%d+) (%d+) (%d+)$')
  return tonumber(first), tonumber(last), stamp
end

local function field(n, name) return digits(n) .. ' ' .. name end

-- hit_look: the stamp, and the hit that has to be over before the next one. It changes nothing, but has to wait
-- for its turn as if it did.
function write.hit_look()
  local name, limit = text(), number()
  local first, last, stamp = range_of(name)
  local n = last + 1 - limit
  return {stamp, n >= first and call('HGET', K.hit, field(n, name)) or false}
end

-- hit_add: notes a hit unless there was another since the look; those beyond the limit go.
function write.hit_add()
  local name, limit, stamp, hit = text(), number(), text(), text()
  local first, last, now = range_of(name)
  if now ~= stamp then return 0 end
  last = last + 1
  hset(K.hit, field(last, name), hit)
  while first <= last - limit do
    hdel(K.hit, field(first, name))
    first = first + 1
  end
  hset(K.limit, name, digits(first) .. ' ' .. digits(last) .. ' ' .. digits(next_number('stamp')))
  return 1
end

-- hits: all that are kept of a name, the oldest first.
function read.hits()
  local name, reply = text(), {}
  local first, last = range_of(name)
  for n = first, last do reply[#reply + 1] = call('HGET', K.hit, field(n, name)) end
  return reply
end

local function forget_hits(name, first, last)
  for n = first, last do hdel(K.hit, field(n, name)) end
end

-- clear_hits: forgets them; whether there were any.
function write.clear_hits()
  local name = text()
  local first, last = range_of(name)
  if last < first then return 0 end
  forget_hits(name, first, last)
  hdel(K.limit, name)
  return 1
end

local function is_hit_over(n, name, boot, ticks, wall)
  local hit = call('HGET', K.hit, field(n, name))
  local b, t, w, till = hit:match('^(%S+) (%-?%d+) (%-?%d+) (%-?%d+)$')
  if b == boot then return tonumber(till) <= ticks end
  return w - t + till <= wall
end

-- prune_hits: those that are over for every verb, up to a number; how many.
function write.prune_hits()
  local limit, boot, ticks, wall, pruned = number(), text(), number(), number(), 0
  for _, name in ipairs(some_of('limit')) do
    local first, last, stamp = range_of(name)
    local from = first
    while first <= last and pruned < limit and is_hit_over(first, name, boot, ticks, wall) do
      hdel(K.hit, field(first, name))
      first, pruned = first + 1, pruned + 1
    end
    if first > last then hdel(K.limit, name)
    elseif first > from then hset(K.limit, name, digits(first) .. ' ' .. digits(last) .. ' ' .. stamp) end
  end
  return pruned
end
