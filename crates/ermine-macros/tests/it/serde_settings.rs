use std::{collections::BTreeMap, fmt::Display, str::FromStr, time::Duration};

use ermine_core::{Body, DomainEvent};
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// Generic over what it writes, so it compiles only when it is given the field itself.
mod as_text {
    use super::*;

    pub(super) fn serialize<T: Display + FromStr, S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
        String::deserialize(d)?.parse().map_err(|_| D::Error::custom("this text does not parse"))
    }
}

fn millis<S: Serializer>(duration: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn from_millis<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    u64::deserialize(d).map(Duration::from_millis)
}

#[derive(Debug, PartialEq, DomainEvent)]
#[event(crate = "ermine_core", prefix = "meter")]
#[serde(rename_all_fields = "camelCase")]
enum MeterEvent {
    Read {
        #[serde(with = "as_text")]
        kilo_watts: u64,
        #[serde(serialize_with = "millis", deserialize_with = "from_millis", rename = "took_ms")]
        took: Duration,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        read_by: Option<String>,
        #[serde(flatten)]
        tags: BTreeMap<String, String>,
    },
    #[serde(rename_all = "UPPERCASE")]
    Moved {
        to: String,
        #[serde(skip)]
        cached: u8,
    },
    Swapped(#[serde(with = "as_text")] u64),
    Tested(#[serde(with = "as_text")] u64, #[serde(default)] u8),
    Sealed {
        #[serde(alias = "byWhom")]
        sealed_by: String,
    },
}

fn json(event: &MeterEvent) -> String {
    let body = event.encode().expect("these fields have a JSON form");
    String::from_utf8_lossy(body.as_bytes()).into_owned()
}

fn round_trip(event: &MeterEvent, text: &str) {
    assert_eq!(json(event), text);
    let body = Body::from_json(text.to_owned()).expect("this is JSON");
    assert_eq!(&MeterEvent::decode(event.type_name(), &body).expect("it reads what it wrote"), event);
}

#[test]
fn settings_of_fields_mean_what_they_mean_in_a_struct() {
    let tags = BTreeMap::from([("site".to_owned(), "north".to_owned())]);
    round_trip(
        &MeterEvent::Read {
            kilo_watts: 7,
            took: Duration::from_millis(12),
            read_by: None,
            tags: tags.clone(),
        },
        r#"{"kiloWatts":"7","took_ms":12,"site":"north"}"#,
    );
    round_trip(
        &MeterEvent::Read { kilo_watts: 7, took: Duration::ZERO, read_by: Some("ada".into()), tags },
        r#"{"kiloWatts":"7","took_ms":0,"readBy":"ada","site":"north"}"#,
    );
}

#[test]
fn a_variants_own_renaming_wins_and_skipped_fields_are_their_default() {
    assert_eq!(json(&MeterEvent::Moved { to: "shed".into(), cached: 9 }), r#"{"TO":"shed"}"#);
    round_trip(&MeterEvent::Moved { to: "shed".into(), cached: 0 }, r#"{"TO":"shed"}"#);
}

#[test]
fn unnamed_fields_take_settings_too() {
    round_trip(&MeterEvent::Swapped(3), r#""3""#);
    round_trip(&MeterEvent::Tested(3, 4), r#"["3",4]"#);
    let shorter = Body::from_json(r#"["3"]"#).unwrap();
    assert_eq!(MeterEvent::decode("meter.tested", &shorter).unwrap(), MeterEvent::Tested(3, 0));
}

#[test]
fn an_alias_reads_an_older_name() {
    let older = Body::from_json(r#"{"byWhom":"ada"}"#).unwrap();
    let sealed = MeterEvent::Sealed { sealed_by: "ada".into() };
    assert_eq!(MeterEvent::decode("meter.sealed", &older).unwrap(), sealed);
    round_trip(&sealed, r#"{"sealedBy":"ada"}"#);
}
