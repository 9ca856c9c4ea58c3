-- What is known of tasks.
-- Uses: messages results history lines

local function state_of(id)
  local places = places_of(id)
  table.sort(places)
  local seq = places[#places]
  if not seq then return call('HEXISTS', K.chained, id) == 1 and 'chained' or '' end
  if call('HEXISTS', K.claim, seq) == 1 then return 'claimed' end
  if call('HEXISTS', K.dead, seq) == 1 then return 'dead' end
  if call('HGET', K.waiting, id) == seq then return 'waiting' end
  return call('ZSCORE', K.schedule, seq) and 'scheduled' or 'ready'
end

-- standing: the state of the last message of an id, its last entry, and its result if there is neither.
function read.standing()
  local id, now = text(), number()
  local state, number_of_last = state_of(id), call('HGET', K.last_entry, id)
  local entry = number_of_last and call('HGET', K.entry, number_of_last) or ''
  local result = state == '' and entry == '' and fresh_result(id, now) or false
  return {state, entry, result}
end
