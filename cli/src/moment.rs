//! Points in time and durations as people write them.

use jiff::{SignedDuration, Timestamp};
use skein_schema::query::At;

use crate::error::{CliError, CliResult};

/// Reads a point of the ledger: a sequence (`1042`), a time (`2026-11-17T14:05:00Z`, or without
/// zone in the local one: `2026-11-17 14:05`), or how long ago (`15m`, `2h`, `3d`).
pub(crate) fn parse_at(text: &str, now: Timestamp) -> CliResult<At> {
    if let Ok(sequence) = text.parse() {
        return Ok(At::Sequence(sequence));
    }
    if let Ok(time) = text.parse() {
        return Ok(At::Time(time));
    }
    if let Ok(local) = text.parse::<jiff::civil::DateTime>()
        && let Ok(zoned) = local.to_zoned(jiff::tz::TimeZone::system())
    {
        return Ok(At::Time(zoned.timestamp()));
    }
    if let Ok(ago) = parse_duration(text)
        && let Ok(time) = now.checked_sub(ago)
    {
        return Ok(At::Time(time));
    }
    Err(CliError::argument(format!("{text:?} is not a point in time")).with_hint(
        "write a ledger sequence (1042), a time (2026-11-17T14:05:00Z, 2026-11-17T14:05) or how long ago (15m, 2h, 3d)",
    ))
}

/// Reads a duration: `90s`, `15m`, `24h`, `7d`, or several together: `1h30m`.
pub(crate) fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    let wrong =
        || format!("{text:?} is not a duration; write for example 90s, 15m, 24h, 7d or 1h30m");
    let mut seconds: i64 = 0;
    let mut rest = text;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let count: i64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = match rest.as_bytes()[digits] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            _ => return Err(wrong()),
        };
        seconds = count
            .checked_mul(unit)
            .and_then(|s| seconds.checked_add(s))
            .ok_or_else(wrong)?;
        rest = &rest[digits + 1..];
    }
    Ok(SignedDuration::from_secs(seconds))
}

/// [`parse_duration`] for durations that are waited for.
pub(crate) fn parse_wait(text: &str) -> Result<std::time::Duration, String> {
    parse_duration(text).map(SignedDuration::unsigned_abs)
}

/// A time in whole seconds, in UTC: `2026-11-17T14:05:00Z`.
pub(crate) fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// How long ago something was, as kubectl prints ages: `45s`, `12m`, `5h`, `3d`.
pub(crate) fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T14:00:00Z".parse().unwrap()
    }

    #[test]
    fn points_in_time() {
        assert_eq!(parse_at("42", now()).unwrap(), At::Sequence(42));
        let time = |text: &str| At::Time(text.parse().unwrap());
        assert_eq!(
            parse_at("2026-11-17T14:05:00Z", now()).unwrap(),
            time("2026-11-17T14:05:00Z")
        );
        assert_eq!(
            parse_at("90m", now()).unwrap(),
            time("2026-11-23T12:30:00Z")
        );
        assert!(parse_at("2026-11-17T14:05", now()).is_ok());
        assert!(
            parse_at("yesterday", now())
                .unwrap_err()
                .render()
                .contains("hint: write a ledger sequence")
        );
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("1h30m"), Ok(SignedDuration::from_secs(5400)));
        assert_eq!(parse_duration("7d"), Ok(SignedDuration::from_secs(604_800)));
        for bad in ["", "5", "m", "-5m", "1.5h", "5w", "99999999999999999999d"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ages_are_kubectls() {
        let ago = |seconds: i64| age(now() - SignedDuration::from_secs(seconds), now());
        assert_eq!(
            [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(ago),
            ["0s", "119s", "2m", "119m", "2h", "47h", "2d"]
        );
        assert_eq!(ago(-30), "0s", "a clock ahead of ours");
    }
}
