-- A consumer's turn.
-- Uses: claims settle schedule

-- turn: settle, claim, and when something is due next. It is the only verb whose reply must not be lost.
function write.turn()
  local owner, handle, turn, heard = text(), text(), number(), number()
  local last = turn_before(owner, handle)
  if last >= turn then return {err = 'LITEQ STALE'} end
  local held = write.settle()
  if held.err then return held end
  take_back_unheard(owner, last, heard)
  hset(K.turn, owner, handle .. ' ' .. digits(turn))
  local claims, claimed = {}, {}
  if number() == 1 then claims, claimed = write.claim() end
  end_turn(owner, claimed)
  return {held, claims, read.next_due()}
end
