use rusqlite::params;
use tempfile::TempDir;

use super::*;

/// A writing thread that has not begun, so that its queue can be filled first.
struct Scene {
    thread: Thread,
    changes: mpsc::Sender<Box<dyn Change>>,
    directory: TempDir,
}

type Answer = oneshot::Receiver<Outcome<()>>;

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(directory.path().join("notes.db"));
        let (changes, queue) = mpsc::channel(QUEUE_MAX);
        let thread = Thread::open(options, Arc::default(), queue).unwrap();
        thread.session.connection.execute_batch("create table notes (text text unique) strict").unwrap();
        Self { thread, changes, directory }
    }

    fn queue(&self, work: impl Fn(&mut Session) -> Outcome<()> + Send + 'static) -> Answer {
        let (waiting, answer) = oneshot::channel();
        let call = Call { work, outcome: None, waiting };
        self.changes.try_send(Box::new(call)).map_err(drop).unwrap();
        answer
    }

    fn note(&self, text: String) -> Answer {
        self.queue(move |session| {
            session.connection.execute("insert into notes values (?1)", params![text])?;
            Ok(())
        })
    }

    /// Does everything that was queued; the notes that are there afterwards.
    fn run(self) -> Vec<String> {
        drop(self.changes);
        self.thread.run();
        notes(self.directory.path())
    }
}

fn notes(directory: &std::path::Path) -> Vec<String> {
    let file = Connection::open(directory.join("notes.db")).unwrap();
    let mut statement = file.prepare("select text from notes order by rowid").unwrap();
    let notes = statement.query_map([], |row| row.get(0)).unwrap();
    notes.collect::<rusqlite::Result<_>>().unwrap()
}

#[test]
fn what_waits_is_committed_together_and_answered_afterwards() {
    let scene = Scene::new();
    let mut one = scene.note("one".into());
    let directory = scene.directory.path().to_owned();
    let mut two = scene.queue(move |_| {
        assert!(notes(&directory).is_empty(), "others see nothing before the commit");
        Ok(())
    });
    let mut three = scene.note("three".into());
    assert_eq!(scene.run(), ["one", "three"]);
    for answer in [&mut one, &mut two, &mut three] {
        answer.try_recv().unwrap().unwrap();
    }
}

#[test]
fn a_change_that_fails_takes_nothing_of_its_neighbours_with_it() {
    let scene = Scene::new();
    let mut one = scene.note("one".into());
    let mut failed = scene.queue(|session| {
        session
            .connection
            .execute_batch("insert into notes values ('half'); insert into notes values ('one')")?;
        Ok(())
    });
    let mut panicked = scene.queue(|session| {
        session.connection.execute_batch("insert into notes values ('half')")?;
        panic!("this panic is part of the test");
    });
    let mut two = scene.note("two".into());
    assert_eq!(scene.run(), ["one", "two"]);
    assert!(failed.try_recv().unwrap().unwrap_err().is_taken());
    assert!(matches!(panicked.try_recv().unwrap().unwrap_err(), Fault::Panicked));
    one.try_recv().unwrap().unwrap();
    two.try_recv().unwrap().unwrap();
}

/// `or rollback` gives up all that the transaction has done, and so does a trigger that says so.
#[test]
fn a_change_that_gives_up_the_whole_transaction_is_the_only_one_that_fails() {
    let scene = Scene::new();
    let mut one = scene.note("one".into());
    let mut failed = scene.queue(|session| {
        session.connection.execute_batch(
            "insert into notes values ('half'); insert or rollback into notes values ('one')",
        )?;
        Ok(())
    });
    let mut two = scene.note("two".into());
    assert_eq!(scene.run(), ["one", "two"]);
    assert!(failed.try_recv().unwrap().unwrap_err().is_taken());
    one.try_recv().unwrap().unwrap();
    two.try_recv().unwrap().unwrap();
}

#[test]
fn a_promise_that_is_broken_at_the_end_of_the_transaction_fails_only_who_has_made_it() {
    let scene = Scene::new();
    let tables = "create table trips (id integer primary key) strict;
        create table legs (trip integer references trips deferrable initially deferred) strict";
    scene.thread.session.connection.execute_batch(tables).unwrap();
    scene.thread.session.connection.pragma_update(None, "foreign_keys", true).unwrap();
    let mut one = scene.note("one".into());
    let mut broken = scene.queue(|session| {
        session.connection.execute_batch("insert into legs values (7); insert into notes values ('half')")?;
        Ok(())
    });
    let mut two = scene.note("two".into());
    assert_eq!(scene.run(), ["one", "two"]);
    let error = broken.try_recv().unwrap().unwrap_err();
    let error = error.into_error("noting", std::path::Path::new("notes.db"));
    assert_eq!(*error.kind(), ermine_core::ErrorKind::Rejected, "{}", error.chain());
    one.try_recv().unwrap().unwrap();
    two.try_recv().unwrap().unwrap();
}

#[test]
fn the_first_of_a_group_may_fail_as_well() {
    let scene = Scene::new();
    let mut failed = scene.queue(|session| {
        session
            .connection
            .execute_batch("insert into notes values ('half'); insert into nowhere values (1)")?;
        Ok(())
    });
    let mut one = scene.note("one".into());
    assert_eq!(scene.run(), ["one"]);
    assert!(failed.try_recv().unwrap().unwrap_err().is_missing());
    one.try_recv().unwrap().unwrap();
}

#[test]
fn a_change_that_nobody_waits_for_any_more_is_left_out() {
    let scene = Scene::new();
    drop(scene.note("one".into()));
    let two = scene.note("two".into());
    drop(scene.note("three".into()));
    assert_eq!(scene.run(), ["two"]);
    drop(two);
}

/// A full disk may end one change or the whole transaction: whatever SQLite does, the answers say what is in the file.
#[test]
fn answers_tell_the_truth_when_the_disk_is_full() {
    for large in 0..6 {
        let scene = Scene::new();
        scene.thread.session.connection.pragma_update(None, "max_page_count", 40).unwrap();
        let mut answers = Vec::new();
        for nth in 0..6 {
            let text = if nth == large { "x".repeat(1_000_000) } else { format!("note {nth}") };
            answers.push((text.clone(), scene.note(text)));
        }
        let there = scene.run();
        for (text, mut answer) in answers {
            let answered = answer.try_recv().unwrap();
            assert_eq!(answered.is_ok(), there.contains(&text), "{answered:?}");
            if let Err(fault) = answered {
                let error = fault.into_error("noting", std::path::Path::new("notes.db"));
                assert!(error.is_transient(), "{}", error.chain());
            }
        }
    }
}

#[test]
fn the_file_may_be_busy_for_a_while() {
    let scene = Scene::new();
    let other = Connection::open(scene.directory.path().join("notes.db")).unwrap();
    other.execute_batch("begin immediate; insert into notes values ('other')").unwrap();
    let mut one = scene.note("one".into());
    let Scene { thread, changes, directory } = scene;
    drop(changes);
    let writing = thread::spawn(move || thread.run());
    other.execute_batch("commit").unwrap();
    writing.join().unwrap();
    one.try_recv().unwrap().unwrap();
    assert_eq!(notes(directory.path()), ["other", "one"]);
}
