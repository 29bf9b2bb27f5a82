-- view_registered: in what columns the views of a table are kept.
-- ?1 name, ?2 version, ?3 generation
select layout from projections where name = ?1 and version = ?2 and generation = ?3
