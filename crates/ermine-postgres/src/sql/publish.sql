-- publish: puts messages into the outbox, each id once and for ever.
-- $1 ids uuid[], $2 projections text[], $3 seqs bigint[], $4 tenants text[], $5 topics text[], $6 bodies json[]
insert into {schema}.outbox (id, projection, seq, tenant, topic, body)
select u.id, u.projection, u.seq, u.tenant, u.topic, u.body
from unnest($1, $2, $3, $4, $5, $6) with ordinality as u(id, projection, seq, tenant, topic, body, place)
where current_setting('ermine.batch', true) = 'on'
order by u.place
on conflict (id) do nothing
