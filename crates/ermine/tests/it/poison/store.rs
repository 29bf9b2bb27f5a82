//! A store that does not take everything.

use ermine::core::Operation;

use super::book::Row;
use crate::stores::Fresh;

/// Has the store take no row with anything bad in it, or take them again.
pub(super) async fn keep_rows_clean(fresh: &Fresh, clean: bool) {
    if let Some(memory) = fresh.memory() {
        let is_bad = |operation: &Operation| match operation {
            Operation::Store { view, .. } => view.body.decode().is_ok_and(|row: Row| row.bad > 0),
            _ => false,
        };
        if clean {
            memory.faults().refuse(is_bad);
        } else {
            memory.faults().clear();
        }
    }
    #[cfg(feature = "sqlite")]
    if let Some(place) = fresh.place::<tempfile::TempDir>() {
        let refuse = "begin select raise(abort, 'nothing bad is kept here'); end;";
        let sql = if clean {
            format!(
                "create trigger clean_new before insert on view_rows_v1_g1 when new.bad > 0 {refuse}
                 create trigger clean_old before update on view_rows_v1_g1 when new.bad > 0 {refuse}"
            )
        } else {
            "drop trigger clean_new; drop trigger clean_old".into()
        };
        let connection = rusqlite::Connection::open(place.path().join("it.db")).unwrap();
        connection.busy_timeout(crate::troubles::SOON).unwrap();
        connection.execute_batch(&sql).unwrap();
    }
    #[cfg(feature = "postgres")]
    if let Some(place) = fresh.place::<ermine_testkit::pg::TestDatabase>() {
        let sql = if clean {
            "alter table ermine.view_rows_v1_g1 add constraint clean check (bad = 0)"
        } else {
            "alter table ermine.view_rows_v1_g1 drop constraint clean"
        };
        place.connect().await.batch_execute(sql).await.unwrap();
    }
}
