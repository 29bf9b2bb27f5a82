use bytes::BufMut;

use super::*;

fn field(out: &mut BytesMut, bytes: &[u8]) {
    out.put_i32(i32::try_from(bytes.len()).unwrap());
    out.put_slice(bytes);
}

fn stream(rows: usize) -> Bytes {
    let mut out = BytesMut::new();
    out.put_slice(SIGNATURE);
    out.put_slice(&[0; 8]);
    for n in 1..=rows {
        out.put_i16(COLUMNS);
        field(&mut out, &i64::try_from(n).unwrap().to_be_bytes());
        field(&mut out, &7_i64.to_be_bytes());
        field(&mut out, &0_i64.to_be_bytes());
        field(&mut out, &[9; 16]);
        field(&mut out, b"");
        field(&mut out, "trip-é".as_bytes());
        field(&mut out, b"Started");
        field(&mut out, br#"{"km":1}"#);
        field(&mut out, b"because");
        out.put_i32(-1);
        out.put_i32(-1);
        out.put_i32(-1);
    }
    out.put_i16(-1);
    out.freeze()
}

#[test]
fn rows_may_be_cut_anywhere() {
    let whole = stream(3);
    for size in 1..whole.len() {
        let mut decoder = Decoder::new(&[]);
        let mut events = Vec::new();
        for chunk in whole.chunks(size) {
            decoder.feed(Bytes::copy_from_slice(chunk));
            while let Some(row) = decoder.next_row().unwrap() {
                events.push(row.unwrap().event);
            }
        }
        let seqs: Vec<u64> = events.iter().map(|event| event.seq.get()).collect();
        assert_eq!(seqs, [1, 2, 3], "in chunks of {size}");
        assert_eq!(events[2].stream.as_str(), "trip-é");
        assert_eq!(events[2].body.as_bytes(), br#"{"km":1}"#);
        assert_eq!(events[2].recorded_at.to_string(), "2000-01-01T00:00:00Z");
        assert_eq!(events[2].metadata.as_ref().unwrap().correlation.as_deref(), Some("because"));
    }
}

#[test]
fn a_row_of_nulls_is_no_event() {
    let mut out = BytesMut::new();
    out.put_slice(SIGNATURE);
    out.put_slice(&[0; 8]);
    out.put_i16(COLUMNS);
    (0..COLUMNS).for_each(|_| out.put_i32(-1));
    let mut decoder = Decoder::new(&[]);
    decoder.feed(out.freeze());
    assert!(matches!(decoder.next_row(), Ok(Some(None))));
    assert!(matches!(decoder.next_row(), Ok(None)));
}

#[test]
fn another_number_of_columns_is_an_error() {
    let mut out = BytesMut::new();
    out.put_slice(SIGNATURE);
    out.put_slice(&[0; 8]);
    out.put_i16(3);
    let mut decoder = Decoder::new(&[]);
    decoder.feed(out.freeze());
    assert!(decoder.next_row().is_err_and(|err| err == "a row of 3 columns instead of 12"));
}
