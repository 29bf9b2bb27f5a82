-- view_query: views in the bytewise order of their ids.
-- $1 tenant text, $2 after text, $3 limit bigint
select id, data, version, seq from {schema}.{table} where tenant = $1 and id > $2 order by id limit $3
