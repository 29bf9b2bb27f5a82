//! Known-bad edits (`crates/*/mutants/*.patch`), each of which the tests of its crate must reject.
//!
//! A patch may say above its diff which tests to run, as arguments of `cargo test`: `test: --test it properties`.
//! Without that, all tests of its crate run.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{pg::Postgres, shell};

/// A mutant that makes the tests run longer than this counts as killed: it hangs.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Debug)]
struct Mutant {
    patch: PathBuf,
    /// For people: `<crate>/<file>`.
    name: String,
    package: String,
    test_args: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Killed,
    Survived,
    DoesNotBuild,
    DoesNotApply,
}

/// Runs all mutants whose name contains `filter`, in a copy of the workspace.
pub(crate) fn run(filter: &str) -> Result<()> {
    let mutants = find(filter)?;
    ensure!(!mutants.is_empty(), "no crates/*/mutants/*.patch has '{filter}' in its name");
    let home = Path::new("target/mutants");
    let scratch =
        Scratch { tree: home.join("tree"), target: home.join("target"), postgres: Postgres::provide(None)? };
    scratch.fill()?;
    scratch.check_unchanged(&mutants)?;
    let mut verdicts = Vec::new();
    for mutant in &mutants {
        let verdict = scratch.judge(mutant)?;
        println!("{:<13} {}", format!("{verdict:?}"), mutant.name);
        verdicts.push(verdict);
    }
    let killed = verdicts.iter().filter(|verdict| **verdict == Verdict::Killed).count();
    println!("{killed} of {} mutants killed", mutants.len());
    ensure!(
        killed == mutants.len(),
        "strengthen the tests for each survivor, and renew each patch that is out of date"
    );
    Ok(())
}

fn find(filter: &str) -> Result<Vec<Mutant>> {
    let mut found = Vec::new();
    for dir in sorted_entries(&shell::root().join("crates"))? {
        let package = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mutants = dir.join("mutants");
        let patches = if mutants.is_dir() { sorted_entries(&mutants)? } else { Vec::new() };
        for patch in patches.into_iter().filter(|path| path.extension().is_some_and(|it| it == "patch")) {
            let name = format!("{package}/{}", patch.file_stem().unwrap_or_default().to_string_lossy());
            if name.contains(filter) {
                let text = fs::read_to_string(&patch)?;
                let header = text.lines().take_while(|line| !line.starts_with("--- "));
                let test_args =
                    header.filter_map(|line| line.strip_prefix("test:")).flat_map(str::split_whitespace);
                let test_args = test_args.map(str::to_owned).collect();
                found.push(Mutant { patch, name, package: package.clone(), test_args });
            }
        }
    }
    Ok(found)
}

fn sorted_entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir)?.map(|entry| entry.map(|it| it.path()));
    let mut paths = entries.collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

/// A copy of the workspace that may be spoiled; its paths are relative to the root.
struct Scratch {
    tree: PathBuf,
    target: PathBuf,
    postgres: Postgres,
}

impl Scratch {
    /// Copies every file that git tracks or would track.
    fn fill(&self) -> Result<()> {
        let tree = shell::root().join(&self.tree);
        if tree.exists() {
            fs::remove_dir_all(&tree)?;
        }
        let mut list = Command::new("git");
        list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(shell::root());
        for file in shell::read(&mut list)?.split_terminator('\0') {
            let (from, to) = (shell::root().join(file), tree.join(file));
            if from.is_file() {
                fs::create_dir_all(to.parent().expect("the copy is in the tree"))?;
                fs::copy(&from, &to).with_context(|| format!("cannot copy {file}"))?;
            }
        }
        Ok(())
    }

    /// The tests must pass without any mutant; otherwise they would "kill" every one.
    fn check_unchanged(&self, mutants: &[Mutant]) -> Result<()> {
        let mut packages: Vec<&str> = mutants.iter().map(|mutant| mutant.package.as_str()).collect();
        packages.dedup();
        for package in packages {
            println!("unchanged tests of {package}");
            let mut test = self.test(package, &[]);
            shell::run(test.stdout(Stdio::null()))
                .context("the tests fail without any mutant: repair them first")?;
        }
        Ok(())
    }

    fn judge(&self, mutant: &Mutant) -> Result<Verdict> {
        if self.apply(mutant, &[]).is_err() {
            return Ok(Verdict::DoesNotApply);
        }
        let build =
            self.test(&mutant.package, &["--no-run"]).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        let verdict = if build.success() { self.verdict_of_tests(mutant)? } else { Verdict::DoesNotBuild };
        self.apply(mutant, &["--reverse"])?;
        Ok(verdict)
    }

    fn verdict_of_tests(&self, mutant: &Mutant) -> Result<Verdict> {
        let args: Vec<&str> = mutant.test_args.iter().map(String::as_str).collect();
        let mut test = self.test(&mutant.package, &args);
        let child = test.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn()?;
        Ok(if passes_in_time(child)? { Verdict::Survived } else { Verdict::Killed })
    }

    /// From the root of the repository: inside of it, but below the root, git would skip the paths of the patch.
    fn apply(&self, mutant: &Mutant, extra: &[&str]) -> Result<()> {
        let mut apply = Command::new("git");
        apply
            .arg("apply")
            .arg("--directory")
            .arg(&self.tree)
            .args(extra)
            .arg(&mutant.patch)
            .current_dir(shell::root());
        shell::read(&mut apply).map(drop)
    }

    fn test(&self, package: &str, args: &[&str]) -> Command {
        let mut command = shell::cargo();
        command.args(["test", "--quiet", "--package", package]).args(args);
        command
            .current_dir(shell::root().join(&self.tree))
            .env("CARGO_TARGET_DIR", shell::root().join(&self.target));
        self.postgres.show_to(&mut command);
        command
    }
}

/// Whether the tests pass; those that take too long are ended, with all that they started.
fn passes_in_time(mut tests: Child) -> Result<bool> {
    let began = Instant::now();
    loop {
        if let Some(status) = tests.try_wait()? {
            return Ok(status.success());
        }
        if began.elapsed() > PATIENCE {
            shell::run(Command::new("kill").args(["-9", "--", &format!("-{}", tests.id())]))?;
            tests.wait()?;
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(50));
    }
}
