-- view_delete_where: removes the views of a tenant that match.
-- $1 tenant text, and what the filter compares with
delete from {schema}.{table}
where tenant = $1 and current_setting('ermine.batch', true) = 'on' and {filter}
