//! One trace id from the command to the applied manifest: the W3C trace context that a command
//! brings is stored with its record, sent on with desired messages, and comes back with statuses.

/// Whether a text has the shape of a W3C trace context, version 00. It is copied into the ledger
/// for good, so nothing else may pass.
#[must_use]
pub fn is_traceparent(text: &str) -> bool {
    let fields: Vec<&str> = text.split('-').collect();
    let hex = |field: &str, length: usize| {
        field.len() == length
            && field
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    matches!(fields[..], [version, trace, span, flags]
        if hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2))
}

/// The trace id of a trace context, for logs; empty when there is none.
#[must_use]
pub fn trace_id(traceparent: Option<&str>) -> &str {
    traceparent
        .and_then(|text| text.split('-').nth(1))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shape_of_a_trace_context_passes() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_traceparent(good));
        assert_eq!(trace_id(Some(good)), "0af7651916cd43dd8448eb211c80319c");
        for bad in [
            "",
            "00-x-y-01",
            "my secret",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
        assert_eq!(trace_id(None), "");
    }
}
