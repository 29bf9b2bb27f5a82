-- token: the incarnation.
select token from meta
