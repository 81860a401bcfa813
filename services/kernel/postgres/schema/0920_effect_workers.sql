-- Who has an effect in hand: a worker's own lease that ran out needs no pause before it is taken up again, and what
-- was given back after a vain attempt is nobody's.

alter table effects add column worker uuid;
