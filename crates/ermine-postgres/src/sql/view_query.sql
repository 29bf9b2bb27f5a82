-- view_query: views in the bytewise order of their ids.
-- $1 tenant text, $2 after text, $3 limit bigint
select v.id, {body}, v.{version}, v.{seq} from {schema}.{table} v where v.tenant = $1 and v.id > $2 order by v.id limit $3
