-- token_renew: another incarnation.
-- ?1 token
update meta set token = ?1
