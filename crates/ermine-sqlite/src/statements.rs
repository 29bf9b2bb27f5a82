//! The statements of this adapter, read from `sql/*.sql`.

macro_rules! statements {
    ($($name:ident $file:literal,)*) => {
        $(pub(crate) const $name: &str = include_str!(concat!("sql/", $file, ".sql"));)*
    };
}

statements! {
    ADVANCE "advance",
    ADVANCE_MEMBER "advance_member",
    APPEND_EVENT "append_event",
    CHECK_STORE "check_store",
    DATA_VERSION "data_version",
    EVENT_BY_ID "event_by_id",
    EVENT_BY_NUMBER "event_by_number",
    EVENT_FROM "event_from",
    EVENT_PARK "event_park",
    EVENT_RELEASE "event_release",
    EVENT_SKIP "event_skip",
    LAST_NUMBER "last_number",
    LATEST_TIME "latest_time",
    LETTER_WRITE "letter_write",
    LETTERS_COUNT "letters_count",
    LETTERS_PURGE "letters_purge",
    LETTERS_READ "letters_read",
    LETTERS_REQUEST "letters_request",
    LOAD_PAGE "load_page",
    LOOK "look",
    META_CREATE "meta_create",
    META_READ "meta_read",
    META_RENEW "meta_renew",
    MIGRATION_RECORD "migration_record",
    MIGRATIONS_APPLIED "migrations_applied",
    MIGRATIONS_CREATE "migrations_create",
    NEWS_SPREAD "news_spread",
    OBSERVE "observe",
    PARKED_EVENTS "parked_events",
    PARKED_KEYS "parked_keys",
    PENDING_MESSAGES "pending_messages",
    PLACE_SHARD "place_shard",
    PUBLISH "publish",
    READ_PROGRESS "read_progress",
    READ_STREAM "read_stream",
    SCHEMA_NAMES "schema_names",
    SETTLE_MESSAGE "settle_message",
    SHARD_STATE "shard_state",
    STATISTICS "statistics",
    STREAM_ADVANCE "stream_advance",
    STREAM_ARCHIVE "stream_archive",
    STREAM_STATE "stream_state",
    TAKE_SHARD "take_shard",
    TOKEN "token",
    TOKEN_RENEW "token_renew",
    VIEW_BY_SQL_NAME "view_by_sql_name",
    VIEW_COUNT "view_count",
    VIEW_CREATE "view_create",
    VIEW_DELETE "view_delete",
    VIEW_INDEXES "view_indexes",
    VIEW_LOAD "view_load",
    VIEW_REGISTER "view_register",
    VIEW_REGISTERED "view_registered",
    VIEW_SCAN "view_scan",
    VIEW_STORE "view_store",
    VIEW_TABLES "view_tables",
    VIEW_VERSION "view_version",
    WISH_CLEAR "wish_clear",
    WISH_PUT "wish_put",
    WISHES_READ "wishes_read",
}

/// A template without the comment above it, which speaks of its braces.
pub(crate) fn without_header(template: &'static str) -> &'static str {
    let mut rest = template;
    while let Some((line, after)) = rest.split_once('\n')
        && line.starts_with("--")
    {
        rest = after;
    }
    rest
}
