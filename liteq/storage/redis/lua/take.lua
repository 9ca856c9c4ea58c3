-- A consumer's turn in which it settles nothing.
-- Uses: claims schedule

makes_room = true

-- Settle if there is anything to, claim, and tell when something is due next, which turn was the last before
-- this one that had its effect, and how many listen to events.
local function have_turn(settle)
  local events, owner, handle, turn, heard = text(), text(), text(), number(), number()
  local last = turn_before(owner, handle)
  if last >= turn then return {err = 'LITEQ STALE'} end
  local held = settle and settle() or {}
  if held.err then return held end
  take_back_unheard(owner, last, heard)
  hset(K.turn, owner, handle .. ' ' .. digits(turn))
  local claims, claimed = {}, {}
  if number() == 1 then claims, claimed = write.claim() end
  end_turn(owner, claimed)
  local listeners = call('PUBSUB', 'NUMSUB', events)[2]
  return {held, claims, read.next_due(), digits(last), listeners}
end

-- take: see have_turn.
function write.take() return have_turn() end
