-- meta_renew: another incarnation, or another note of who does not wait for the disk.
-- ?1 token, ?2 boot
update meta set token = ?1, boot = ?2
