-- check_store: every promise of the store on one row: what, whether it holds, what was seen, and the remedy.
with log as (
  select coalesce((select s.seq from sqlite_sequence s where s.name = 'events'), 0) as last,
    coalesce((select max(e.seq) from events e), 0) as highest,
    coalesce((select max(p.seq) from progress p), 0) as progress
)
select 'the store knows its incarnation' as what, count(*) = 1 as holds, format('%d rows in meta', count(*)) as detail,
  'restore the file from a backup: the row is written when the store is made' as remedy
from meta
union all
select 'no event is above the last number', highest <= last, format('last number %d, highest event %d', last, highest),
  'update sqlite_sequence set seq = (select max(seq) from events) where name = ''events'''
from log
union all
select 'progress is not above the last number', progress <= last, format('progress %d, last number %d', progress, last),
  'the log was restored without its progress: empty the views of every projection and set its progress.seq to 0, or give it a new version'
from log
union all
select 'the log draws its own numbers', count(*) = 1, format('%d tables events with autoincrement', count(*)),
  'restore the file from a backup: somebody has made the table events anew'
from sqlite_schema where type = 'table' and name = 'events' and sql like '%autoincrement%'
