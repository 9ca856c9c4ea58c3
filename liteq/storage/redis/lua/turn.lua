-- A consumer's turn.
-- Uses: take settle

function write.turn() return have_turn(write.settle) end
