//! On what it was measured.

use std::{env::consts, fs, thread};

use anyhow::Result;

use crate::{
    Plan,
    server::{SETTINGS, Server},
};

pub(crate) async fn describe(server: &Server, plan: &Plan) -> Result<Vec<(&'static str, String)>> {
    let version = "select split_part(version(), ' on ', 1)";
    let version: String = server.administrator().await.query_one(version, &[]).await?.try_get(0)?;
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| consts::ARCH.to_owned());
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_else(|| "memory not known".to_owned());
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("not known").to_owned();
    let settings: Vec<String> = SETTINGS.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let engine = plan.tuning.settings();
    Ok(vec![
        ("machine", format!("{cores} cores, {processor}, {memory}, {}", consts::OS)),
        ("load before", load),
        ("server", format!("{version} on a unix socket, fsync=on, {}", settings.join(", "))),
        (
            "engine",
            format!(
                "page_events_max={}, in_flight_events_max={}, fold_threads={}, cache_bytes_max={}",
                engine.page_events_max,
                engine.in_flight_events_max,
                engine.fold_threads,
                engine.cache_bytes_max
            ),
        ),
        (
            "rounds",
            format!("{}{}", plan.rounds, if plan.quick { ", quick: figures mean nothing" } else { "" }),
        ),
    ])
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
