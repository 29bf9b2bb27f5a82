-- meta_read: the incarnation, and the boot in which it may have lost commits.
select token, boot from meta
