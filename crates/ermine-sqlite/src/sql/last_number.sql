-- last_number: what tells a sleeping observer that somebody has appended.
select coalesce((select seq from sqlite_sequence where name = 'events'), 0)
