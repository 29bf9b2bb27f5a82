-- look: what tells a sleeping observer that somebody has appended, or wants something of it.
select coalesce((select s.seq from sqlite_sequence s where s.name = 'events'), 0), m.news from meta m
