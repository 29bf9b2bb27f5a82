//! Which file a URL or path means, and what to say when it cannot be one.

use std::{path::Path, time::Duration};

use ermine_core::{Error, Result};
use percent_encoding::percent_decode_str;

use crate::{SqliteOptions, Synchronous};

const SCHEME: &str = "sqlite:";
const PARAMETERS: &str = "synchronous=full|normal|off, busy_timeout_ms=<milliseconds>, readers=<threads>";

pub(crate) fn parse(url_or_path: &str) -> Result<SqliteOptions> {
    let Some(rest) = url_or_path.strip_prefix(SCHEME) else {
        refuse_other_scheme(url_or_path)?;
        check_path(Path::new(url_or_path))?;
        return Ok(SqliteOptions::new(url_or_path));
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    // `sqlite:///var/trips.db` is as good as `sqlite:/var/trips.db`.
    let path = decode(path.strip_prefix("//").unwrap_or(path))?;
    check_path(Path::new(&path))?;
    let mut parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    parameters.try_fold(SqliteOptions::new(path), with_parameter)
}

/// What no file can be, looked at before anything is opened.
pub(crate) fn check_path(path: &Path) -> Result<()> {
    if path.as_os_str().is_empty() {
        return Err(Error::configuration("an SQLite URL looks like sqlite:trips.db; this one names no file"));
    }
    if path.as_os_str() == ":memory:" {
        return Err(Error::configuration(
            "this store keeps its events in a file, and \":memory:\" is none: name a file, or use the store \"memory:\"",
        ));
    }
    if path.is_dir() {
        return Err(Error::configuration(format!(
            "{} is a directory: name a file in it, such as {}",
            path.display(),
            path.join("ermine.db").display()
        )));
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => Err(Error::configuration(
            format!("there is no directory {} for {}: create it", parent.display(), path.display()),
        )),
        _ => Ok(()),
    }
}

fn refuse_other_scheme(text: &str) -> Result<()> {
    let Some((scheme, _)) = text.split_once("://") else { return Ok(()) };
    Err(Error::configuration(format!(
        "an SQLite URL looks like sqlite:trips.db; this one has the scheme \"{scheme}\""
    )))
}

fn decode(text: &str) -> Result<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|err| {
        Error::configuration(format!("the path \"{text}\" is not UTF-8 when it is decoded")).with_source(err)
    })?;
    Ok(decoded.into_owned())
}

fn with_parameter(options: SqliteOptions, text: &str) -> Result<SqliteOptions> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let refused = |what: &str| {
        Error::configuration(format!("{what} in an SQLite URL; the parameters are: {PARAMETERS}"))
    };
    let number = || value.parse::<u32>().map_err(|_| refused(&format!("\"{text}\" gives no number")));
    match name {
        "synchronous" => {
            let modes = [Synchronous::Full, Synchronous::Normal, Synchronous::Off];
            let mode = modes.into_iter().find(|mode| mode.name().eq_ignore_ascii_case(value));
            let mode = mode.ok_or_else(|| refused(&format!("\"{text}\" names no mode")))?;
            Ok(options.synchronous(mode))
        }
        "busy_timeout_ms" => Ok(options.busy_timeout(Duration::from_millis(number()?.into()))),
        "readers" => Ok(options.readers(usize::try_from(number()?).unwrap_or(usize::MAX))),
        _ => Err(refused(&format!("unknown parameter \"{name}\""))),
    }
}
