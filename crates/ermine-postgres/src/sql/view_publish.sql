-- view_publish: gives a flat table the name that plain SQL reads it by, or the columns that are new. The comment tells that
-- the name is ours.
create or replace view {schema}.{name} as select tenant, id{names} from {schema}.{table};
comment on view {schema}.{name} is {comment}
