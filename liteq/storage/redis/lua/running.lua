-- What runs: when and where it began, and how far it has got.
-- Uses: messages leases lines

-- running: the claims, each with its record, its start and its progress.
function read.running()
  local reply = {}
  for _, seq in ipairs(call('HKEYS', K.claim)) do
    reply[#reply + 1] = {
      seq, call('HGET', K.claim, seq), call('HGET', K.message, seq),
      call('HGET', K.start, seq), call('HGET', K.progress, seq),
    }
  end
  return reply
end

-- note_starts: of claims that hold.
function write.note_starts()
  for _ = 1, number() do
    local seq, start = held_key(), text()
    if seq then hset(K.start, seq, start) end
  end
  return 1
end

-- set_progress: of a claim that holds; whether it does.
function write.set_progress()
  local seq, progress = held_key(), text()
  if not seq then return 0 end
  hset(K.progress, seq, progress)
  return 1
end

-- progress: of the last claimed message of an id.
function read.progress()
  local found = false
  for _, seq in ipairs(places_of(text())) do
    if call('HEXISTS', K.claim, seq) == 1 then found = seq end
  end
  return found and call('HGET', K.progress, found)
end
