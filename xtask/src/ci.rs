//! The steps that a change must pass, and how long each took.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

use crate::{pg::Postgres, shell};

/// Runs all steps; the first that fails ends it.
pub(crate) fn run() -> Result<()> {
    let postgres = Postgres::provide(None)?;
    let mut times = Times::default();
    times.step("format", cargo(["fmt", "--all", "--check"]))?;
    let lint = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "--deny", "warnings"];
    times.step("lints", cargo(lint))?;
    for feature in features()? {
        let check = cargo(["check", "--package", "ermine", "--no-default-features", "--features", &feature]);
        times.step(&format!("feature {feature}"), check)?;
    }
    let mut docs = cargo(["doc", "--no-deps", "--workspace", "--all-features"]);
    docs.env("RUSTDOCFLAGS", "--deny warnings");
    times.step("docs", docs)?;
    times.step("tests", test_command(&postgres, &[]))?;
    times.print();
    Ok(())
}

/// Runs all tests, doc tests included.
pub(crate) fn test(postgres: &Postgres, args: &[String]) -> Result<()> {
    shell::run(&mut test_command(postgres, args))
}

fn test_command(postgres: &Postgres, args: &[String]) -> Command {
    let mut command = cargo(["test", "--workspace", "--all-features"]);
    command.args(args);
    postgres.show_to(&mut command);
    command
}

fn cargo<const N: usize>(args: [&str; N]) -> Command {
    let mut command = shell::cargo();
    command.args(args);
    command
}

/// The features of the facade, each of which must do alone.
fn features() -> Result<Vec<String>> {
    let metadata = MetadataCommand::new().current_dir(shell::root()).no_deps().exec()?;
    let facade = metadata.packages.into_iter().find(|package| package.name == "ermine");
    let features = facade.context("the workspace has no crate named ermine")?.features;
    Ok(features.into_keys().filter(|feature| feature != "default").collect())
}

#[derive(Debug, Default)]
struct Times(Vec<(String, Duration)>);

impl Times {
    fn step(&mut self, name: &str, mut command: Command) -> Result<()> {
        println!("== {name}");
        let began = Instant::now();
        shell::run(&mut command).with_context(|| format!("step '{name}'"))?;
        self.0.push((name.to_owned(), began.elapsed()));
        Ok(())
    }

    fn print(&self) {
        println!("== all passed");
        for (name, time) in &self.0 {
            println!("{:>7.1} s  {name}", time.as_secs_f64());
        }
    }
}
