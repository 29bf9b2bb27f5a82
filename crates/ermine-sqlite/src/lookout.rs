//! Finds what other processes, and other stores of this one, append to the file or want of whoever has it open.

use std::{sync::Arc, thread, time::Duration};

use ermine_core::Seq;

use crate::{alive::Alive, bell::Doorbell, connection::File, error::Outcome, statements as sql};

const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The thread that looks; it ends with this value.
#[derive(Debug)]
pub(crate) struct Lookout {
    bell: Arc<Doorbell>,
}

impl Lookout {
    pub(crate) fn start(file: Arc<File>, bell: Arc<Doorbell>, alive: Alive) -> std::io::Result<Self> {
        let rings = Arc::clone(&bell);
        thread::Builder::new().name("ermine-sqlite-lookout".into()).spawn(move || {
            let _alive = alive;
            run(&file, &rings);
        })?;
        Ok(Self { bell })
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.bell.close();
    }
}

fn run(file: &File, bell: &Doorbell) {
    let mut before = Seq::ZERO;
    while let Err(fault) = watch(file, bell, &mut before) {
        tracing::debug!("looking for what other processes have done failed: {fault}");
        bell.ring();
        bell.pause_for(LOOK_AGAIN_AFTER);
    }
}

/// Looks whenever that is needed, until it never will be again.
fn watch(file: &File, bell: &Doorbell, before: &mut Seq) -> Outcome<()> {
    if !bell.is_needed() {
        return Ok(());
    }
    let connection = file.reader()?;
    let mut data_version = connection.prepare(sql::DATA_VERSION)?;
    let mut look = connection.prepare(sql::LOOK)?;
    let mut seen: Option<i64> = None;
    while bell.is_needed() {
        let version = data_version.query_row([], |row| row.get(0))?;
        if seen != Some(version) {
            let (last, news) = look.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let last = Seq::from_i64(last);
            if last < *before {
                bell.forget();
            }
            *before = last;
            bell.appended(last);
            bell.heard(news);
            seen = Some(version);
        }
        bell.pause();
    }
    Ok(())
}
