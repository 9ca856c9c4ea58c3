-- A consumer's turn.
-- Uses: take settle

-- turn: see have_turn.
function write.turn() return have_turn(write.settle) end
