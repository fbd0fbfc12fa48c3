//! The server's log, as part of ours.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// How many lines are kept for error messages.
const KEPT: usize = 10;

/// The end of a server's log.
#[derive(Clone, Debug, Default)]
pub(super) struct LastWords(Arc<Mutex<VecDeque<String>>>);

impl LastWords {
    fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    /// The lines, joined for an error message.
    pub(super) fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_empty() {
            "(none)".to_owned()
        } else {
            Vec::from_iter(lines.clone()).join(" | ")
        }
    }
}

/// Reads the log until it ends, and hands each line on at its level.
pub(super) async fn fold(log: impl AsyncRead + Unpin, last_words: LastWords) {
    let mut lines = BufReader::new(log).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let (level, text) = parse(&line);
        match level {
            Level::Debug => tracing::debug!(target: "nats_server", "{text}"),
            // A start writes some thirty lines: of interest to those who ask.
            Level::Info => tracing::debug!(target: "nats_server", "{text}"),
            Level::Warning => tracing::warn!(target: "nats_server", "{text}"),
            Level::Error => tracing::error!(target: "nats_server", "{text}"),
        }
        last_words.push(text);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Debug,
    Info,
    Warning,
    Error,
}

/// Divides `[pid] [LVL] text`. A line without a level is one of a panic.
fn parse(line: &str) -> (Level, &str) {
    let rest = match line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
    {
        Some((pid, rest)) if pid.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => line,
    };
    let level = match rest.get(..5) {
        Some("[TRC]" | "[DBG]") => Level::Debug,
        Some("[INF]") => Level::Info,
        Some("[WRN]") => Level::Warning,
        Some("[ERR]" | "[FTL]") => Level::Error,
        _ => return (Level::Error, line),
    };
    (level, rest[5..].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_level_and_loses_its_prefix() {
        assert_eq!(
            parse("[42] [INF] Server is ready"),
            (Level::Info, "Server is ready")
        );
        assert_eq!(
            parse("[42] [FTL] listen: in use"),
            (Level::Error, "listen: in use")
        );
        assert_eq!(parse("[42] [WRN] slow"), (Level::Warning, "slow"));
        assert_eq!(
            parse("goroutine 1 [running]:"),
            (Level::Error, "goroutine 1 [running]:")
        );
        assert_eq!(parse(""), (Level::Error, ""));
    }

    #[tokio::test]
    async fn the_last_words_are_kept() {
        let words = LastWords::default();
        let text: String = (0..20)
            .map(|number| format!("[1] [INF] line {number}\n"))
            .collect();
        fold(text.as_bytes(), words.clone()).await;
        assert!(words.text().starts_with("line 10 | ") && words.text().ends_with("line 19"));
    }
}
