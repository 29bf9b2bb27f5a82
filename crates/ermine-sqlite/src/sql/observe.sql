-- observe: incarnation, the last number drawn and the highest event, all of one snapshot. An append that is under way has
-- drawn numbers above the last one that is committed, and nobody else can draw any meanwhile.
select m.token,
  coalesce((select s.seq from sqlite_sequence s where s.name = 'events'), 0) as last,
  coalesce((select max(e.seq) from events e), 0) as highest
from meta m
