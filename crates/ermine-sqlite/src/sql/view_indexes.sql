-- view_indexes: the indexes that were made on a table.
-- ?1 table
select name from sqlite_schema where type = 'index' and tbl_name = ?1 and sql is not null
