-- view_tables: every table for views, and what plain SQL calls it.
select table_name, sql_name from projections
