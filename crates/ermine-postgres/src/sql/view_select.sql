-- view_select: views that match, in some order.
-- $1 tenant text, $2 after text, $3 limit bigint, $4 offset bigint, and what the filter compares with
select v.id, {body}, v.{version}, v.{seq} from {schema}.{table} v
where v.tenant = $1 and v.id > $2 and {filter}
order by {order} limit $3 offset $4
