//! A bank: balances that nobody can overdraw, statements by month, a table for plain SQL, and notices that go out once.
//!
//! ```text
//! cargo run --example bank                 # in the file bank.db; a second run goes on from there
//! cargo run --example bank -- --store postgres://user@host/database
//! ```

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Parser;
use ermine::{
    postgres::tokio_postgres::{self, NoTls},
    prelude::*,
    sqlite::SqliteOptions,
};
use jiff::civil::{Date, date};
use tokio::task::JoinSet;

#[derive(DomainEvent)]
enum AccountEvent {
    Opened { owner: String },
    Deposited { euros: i64, on: Date },
    Withdrawn { euros: i64, on: Date },
}

impl AccountEvent {
    const fn change(&self) -> i64 {
        match self {
            Self::Opened { .. } => 0,
            Self::Deposited { euros, .. } => *euros,
            Self::Withdrawn { euros, .. } => -*euros,
        }
    }

    /// The statement that a booking stands on: `<account>:<yyyy-MM>`.
    fn statement(event: &Recorded<Self>) -> Option<String> {
        let (Self::Deposited { on, .. } | Self::Withdrawn { on, .. }) = event.data() else { return None };
        Some(format!("{}:{}", event.stream(), on.strftime("%Y-%m")))
    }
}

/// What an account holds: decides what may be withdrawn.
#[derive(Default, Serialize, Deserialize)]
struct Account {
    euros: i64,
}

impl Aggregate for Account {
    type Event = AccountEvent;

    fn evolve(account: Option<Self>, event: &Recorded<AccountEvent>) -> Result<Option<Self>, ApplyError> {
        let before = account.unwrap_or_default();
        Ok(Some(Self { euros: before.euros + event.data().change() }))
    }
}

/// What an account did in one month.
#[derive(Default, Serialize, Deserialize)]
struct Statement {
    bookings: u32,
    change: i64,
}

impl Aggregate for Statement {
    type Event = AccountEvent;

    fn evolve(month: Option<Self>, event: &Recorded<AccountEvent>) -> Result<Option<Self>, ApplyError> {
        let before = month.unwrap_or_default();
        Ok(Some(Self { bookings: before.bookings + 1, change: before.change + event.data().change() }))
    }
}

/// Has a notice sent of every large withdrawal. The transaction that stores how far this has come puts it into the outbox:
/// exactly one for each withdrawal, whatever fails when.
struct LargeWithdrawals;

#[async_trait]
impl Subscriber for LargeWithdrawals {
    type Event = AccountEvent;

    async fn receive(
        &self,
        page: &[Recorded<AccountEvent>],
        effects: &mut PageEffects,
    ) -> Result<(), PageError> {
        for event in page {
            if let AccountEvent::Withdrawn { euros: euros @ 500.., on } = event.data() {
                let notice = format!("{} withdrew {euros} euros on {on}", event.stream());
                effects.of(event).publish("notice", &notice)?;
            }
        }
        Ok(())
    }
}

/// Where notices go.
struct Letterbox;

#[async_trait]
impl Sink for Letterbox {
    async fn deliver(&self, messages: &[Message]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        for message in messages {
            println!("{}: {}", message.topic, message.body.decode::<String>()?);
        }
        Ok(())
    }
}

#[derive(Parser)]
struct Args {
    /// Where events and views are kept: sqlite:<file> or postgres://user@host/database
    #[arg(long, default_value = "sqlite:bank.db")]
    store: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Args { store } = Args::parse();
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let balances = flat_table::<AccountEvent>("Balances", "balances")
        .column("owner", ColumnKind::Text)
        .column_or("euros", ColumnKind::Integer, 0)
        .on("account.opened", |row| row.map("owner"))
        .on("account.deposited", |row| row.increment_from("euros", "euros"))
        .on("account.withdrawn", |row| row.decrement_from("euros", "euros"));
    let ermine = Ermine::open(&store)
        .project(single_stream::<Account>("Account").inline()) // current when an append is answered
        .project(multi_stream::<Statement, _, _>("Statement", AccountEvent::statement))
        .project(balances)
        .project(subscription("LargeWithdrawals", LargeWithdrawals))
        .sink(Letterbox)
        .daemon(DaemonMode::Solo)
        .start()
        .await?;

    let (january, february) = (date(2026, 1, 30), date(2026, 2, 2));
    deposit(&ermine, "ada", 1_200, january).await?;
    deposit(&ermine, "grace", 80, january).await?;
    withdraw(&ermine, "ada", 700, february).await?;
    if let Err(refused) = withdraw(&ermine, "grace", 1_000_000, february).await {
        println!("refused: {refused}");
    }

    ermine.wait_for_non_stale(Duration::from_secs(30)).await?;
    for (id, month) in ermine.query::<Statement>()?.list().await? {
        println!("statement {id}: {} bookings, {:+} euros", month.bookings, month.change);
    }
    for (owner, euros) in balances_by_sql(&store).await? {
        println!("balance of {owner}: {euros} euros");
    }
    // What is not delivered when a program ends is delivered when it starts again.
    ermine.wait_for_delivery(Duration::from_secs(10)).await?;
    Ok(ermine.stop().await?)
}

/// Deposits, into an account that is opened where there is none.
async fn deposit(ermine: &Ermine, account: &str, euros: i64, on: Date) -> Result<()> {
    let current = ermine.fetch_for_writing::<Account>(account).await?;
    let opening = current.state().is_none().then(|| AccountEvent::Opened { owner: account.to_owned() });
    current.append(opening.into_iter().chain([AccountEvent::Deposited { euros, on }])).await?;
    Ok(())
}

/// Withdraws no more than the account holds, however many try at the same time: what was decided is appended only if
/// nobody else has appended meanwhile.
async fn withdraw(ermine: &Ermine, account: &str, euros: i64, on: Date) -> Result<()> {
    loop {
        let current = ermine.fetch_for_writing::<Account>(account).await?;
        let balance = current.state().map_or(0, |account| account.euros);
        if balance < euros {
            bail!("{account} has {balance} euros and cannot withdraw {euros}");
        }
        match current.append([AccountEvent::Withdrawn { euros, on }]).await {
            Err(error) if error.as_conflict().is_some() => {} // somebody was quicker: decide again
            done => return Ok(done.map(drop)?),
        }
    }
}

/// Reads the flat table as any other program would, the richest first.
async fn balances_by_sql(store: &str) -> Result<Vec<(String, i64)>> {
    if store.starts_with("sqlite:") {
        let file = rusqlite::Connection::open(SqliteOptions::parse(store)?.path())?;
        let mut query = file.prepare("select owner, euros from balances order by euros desc")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        return Ok(rows.collect::<Result<_, _>>()?);
    }
    let (client, connection) = tokio_postgres::connect(store, NoTls).await?;
    let mut connections = JoinSet::new();
    connections.spawn(connection);
    let query = "select owner, euros from ermine.balances order by euros desc";
    Ok(client.query(query, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
}
