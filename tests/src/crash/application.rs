//! The application that is killed: the same program, started again as a process of its own.

use std::{
    env,
    ffi::OsString,
    path::PathBuf,
    process::{self, Stdio},
    sync::Arc,
    time::Duration,
};

use ermine::{
    Ermine, ErmineBuilder,
    core::{DaemonMode, Position, Seq},
};
use ermine_testkit::eventually;

use super::writers::Writers;
use crate::trail;

/// What its sessions call themselves.
pub(super) const NAME: &str = "ermine-application";
const URL: &str = "ERMINE_TESTS_APPLICATION_URL";
const CATCH_UP_TO: &str = "ERMINE_TESTS_APPLICATION_CATCH_UP_TO";

/// How to start this program again so that it calls [`enter`].
#[derive(Clone, Debug)]
pub struct Application {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// What the application does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// It appends and projects until it is killed.
    Write,
    /// It projects up to a number and ends.
    CatchUp { to: u64 },
}

impl Application {
    /// This very program.
    ///
    /// # Panics
    ///
    /// When it cannot be found.
    pub fn this(args: &[&str]) -> Self {
        let program = env::current_exe().expect("this program is a file");
        Self { program, args: args.iter().map(Into::into).collect() }
    }

    pub(super) fn start(&self, url: &str, duty: Duty) -> Child {
        let url = (URL, format!("{url}?application_name={NAME}"));
        match duty {
            Duty::Write => self.start_with(&[url]),
            Duty::CatchUp { to } => self.start_with(&[url, (CATCH_UP_TO, to.to_string())]),
        }
    }

    /// A process with these variables in its environment.
    pub(crate) fn start_with(&self, variables: &[(&str, String)]) -> Child {
        let mut command = process::Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::null()).stdout(Stdio::null());
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        Child { process: command.spawn().unwrap_or_else(|err| panic!("{}: {err}", self.program.display())) }
    }
}

/// A running application, killed when dropped.
pub(crate) struct Child {
    process: process::Child,
}

impl Child {
    /// kill -9, and certainty that it has ended.
    pub(crate) fn kill(&mut self) {
        // It fails only when it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Waits until it has done its duty.
    pub(crate) async fn wait(mut self, deadline: Duration) {
        let process = &mut self.process;
        let status = eventually(deadline, || {
            let ended = process.try_wait().expect("it is our child");
            async move { ended.ok_or("the application has not caught up") }
        });
        let status = status.await;
        assert!(status.success(), "the application ended with {status}");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The projections of the application.
pub(super) fn project(builder: ErmineBuilder) -> ErmineBuilder {
    trail::project(builder, "Application")
}

/// Does the application's duty when this process was started for it; false when it was not.
///
/// # Panics
///
/// When something fails that a crash of the server does not explain.
pub async fn enter() -> bool {
    let Ok(url) = env::var(URL) else { return false };
    // The server may be gone at this very moment.
    let start = || async {
        let started = project(Ermine::open(url.as_str())).daemon(DaemonMode::Solo).start().await;
        started.map_err(|err| err.chain())
    };
    let host = Arc::new(eventually(super::DEADLINE, start).await);
    match env::var(CATCH_UP_TO) {
        Ok(to) => {
            let to = Position::new(Seq::new(to.parse().expect("a number")));
            host.wait_for_within(to, super::DEADLINE).await.unwrap_or_else(|err| panic!("{err:?}"));
        }
        Err(_) => {
            let _writers = Writers::start(&host);
            std::future::pending::<()>().await;
        }
    }
    true
}
