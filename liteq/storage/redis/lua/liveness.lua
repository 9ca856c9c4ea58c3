-- Whether an id may still come to a result. It may while a message that is it, or carries it, is not dead.
-- Uses: messages results

local function is_live(id)
  for _, seq in ipairs(places_of(id)) do
    if call('HEXISTS', K.dead, seq) == 0 then return true end
  end
  return call('HEXISTS', K.chained, id) == 1
end

-- is_live: of one id.
function read.is_live() return is_live(text()) and 1 or 0 end

-- ended: those ids that have a result or are not live.
function read.ended()
  local now, reply = number(), {}
  for _, id in ipairs(texts()) do
    if fresh_result(id, now) or not is_live(id) then reply[#reply + 1] = id end
  end
  return reply
end
