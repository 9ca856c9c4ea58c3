-- Pauses, and what is first in line. pauses: the names that are paused, '' for the whole queue.
-- Uses: lines

-- top_priority: of the message that would be claimed next, as far as no claim has met a pause.
function read.top_priority()
  if call('HEXISTS', K.pauses, '') == 1 then return false end
  local first = first_of(lines_to_claim_from(), 1)[1]
  return first and digits(-first[1]) or false
end

-- pause: a name, or '' for the whole queue; whether it was not paused before.
function write.pause()
  local name = text()
  new_work = true
  if call('HEXISTS', K.pauses, name) == 1 then return 0 end
  hset(K.pauses, name, 1)
  return 1
end

-- resume: a name, or '' for the whole queue; whether it was paused.
function write.resume()
  if not hdel(K.pauses, text()) then return 0 end
  new_work = true
  return 1
end

-- paused: the names that are.
function read.paused() return call('HKEYS', K.pauses) end
