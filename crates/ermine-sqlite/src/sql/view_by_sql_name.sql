-- view_by_sql_name: whose the name is that plain SQL uses.
-- ?1 name for plain SQL
select name, version from projections where sql_name = ?1
