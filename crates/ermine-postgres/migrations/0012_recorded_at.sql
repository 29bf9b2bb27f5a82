-- Finds a moment in the log. Of both columns, so that each range of pages is known by its times and by its numbers; an
-- insert costs next to nothing, because there is one entry for many pages. A step on its own: while it is made nobody
-- appends, but everybody reads.
create index events_recorded_at on {schema}.events using brin (recorded_at, seq) with (autosummarize = on);
