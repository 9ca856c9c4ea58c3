-- The verbs about chords.
-- Uses: messages leases

-- ends_of: of a claimed callback, the ends of its members by position; none if the claim does not hold.
function read.ends_of()
  local seq = held_key()
  if not seq then return false end
  local reply = {}
  for position = 0, (message_at(seq).gathers or 0) - 1 do
    local kept = call('HGET', K.ends, seq .. ':' .. position)
    if kept then reply[#reply + 1] = kept end
  end
  return reply
end

-- waiting_count: how many callbacks wait.
function read.waiting_count() return call('HLEN', K.waiting) end
