//! What is known when a command or a question fails on its way: above all, whether the command may
//! have been carried out.

use std::time::Duration;

use serde::Deserialize;
use skein_nats::Message;
use skein_nats::connect::{ConnectError, PublishError, RequestError};
use skein_schema::code::Code;
use uuid::Uuid;

use crate::context::Context;
use crate::error::{CliError, CliResult};

/// JetStream's error for a message that is larger than the stream takes.
const MESSAGE_TOO_LARGE: u32 = 10_054;
/// JetStream's error for a stream that has no room.
const NO_ROOM: u32 = 10_077;

/// The bus's answer to a command that it was to store.
#[derive(Debug, Deserialize)]
struct Acknowledgement {
    /// Where it was stored.
    #[serde(default)]
    seq: Option<u64>,
    /// Why it was not.
    #[serde(default)]
    error: Option<Rejection>,
}

#[derive(Debug, Deserialize)]
struct Rejection {
    err_code: u32,
    #[serde(default)]
    description: String,
}

/// Checks that the bus has stored the command `id`: from then on it cannot be lost any more.
///
/// # Errors
/// Says whether the command was not stored, or whether that is not known.
pub(super) fn check_stored(answer: Result<Message, RequestError>, id: Uuid) -> CliResult<()> {
    let message = match answer {
        Ok(message) => message,
        Err(RequestError::TimedOut { .. }) => {
            return Err(not_known(
                Code::Unreachable,
                "the bus has not answered",
                id,
                "stored",
            ));
        }
        Err(error) => {
            return Err(of_question(
                &error,
                "the command was not stored; nothing has changed",
            ));
        }
    };
    match serde_json::from_slice(&message.body) {
        Ok(Acknowledgement {
            error: Some(rejection),
            ..
        }) => Err(rejected(&rejection)),
        Ok(Acknowledgement { seq: Some(_), .. }) => Ok(()),
        Ok(Acknowledgement { .. }) | Err(_) => Err(not_known(
            Code::UnsupportedVersion,
            "the bus's answer cannot be read",
            id,
            "stored",
        )),
    }
}

fn rejected(rejection: &Rejection) -> CliError {
    let Rejection {
        err_code,
        description,
    } = rejection;
    let (code, hint) = match *err_code {
        MESSAGE_TOO_LARGE => (
            Code::TooLarge,
            "make the object smaller, e.g. by splitting the work",
        ),
        NO_ROOM => (
            Code::NoHub,
            "commands wait until a hub takes them, and no more may wait: `skein doctor` tells whether one leads",
        ),
        _ => (
            Code::Unreachable,
            "`skein doctor` looks at the bus and its streams",
        ),
    };
    let message = format!(
        "the bus refused the command: {description} ({err_code}); it was not stored, nothing has changed"
    );
    CliError::new(code, message).with_hint(hint)
}

/// The command `id` was stored, but its result has not come within `timeout`.
pub(super) fn no_result(id: Uuid, timeout: Duration) -> CliError {
    let silent = format!("no hub has answered within {}s", timeout.as_secs());
    not_known(Code::NoHub, &silent, id, "carried out")
}

/// The command `id` was stored, but the connection ended before its result came.
pub(super) fn lost(id: Uuid) -> CliError {
    let lost = "the connection was lost before the result came";
    not_known(Code::Unreachable, lost, id, "carried out")
}

/// Nobody may claim that a command was not carried out when only its answer is missing.
fn not_known(code: Code, why: &str, id: Uuid, done: &str) -> CliError {
    CliError::new(
        code,
        format!("{why}: it is not known whether the command {id} was {done}"),
    )
    .with_hint("`skein events --since 5m -o wide` shows the command if it was; `skein doctor` looks for the cause")
}

/// A question that was not answered, or a message that was not sent; `consequence` says which.
pub(super) fn of_question(error: &RequestError, consequence: &str) -> CliError {
    match error {
        RequestError::NobodyThere { .. } => {
            CliError::new(Code::NoHub, format!("no hub is there: {consequence}"))
                .with_hint("the bus runs, but no hub is connected to it; `skein doctor` tells more")
        }
        RequestError::Publish(PublishError::TooLarge { .. }) => {
            CliError::new(Code::TooLarge, consequence)
                .because(error)
                .with_hint("make the object smaller, e.g. by splitting the work")
        }
        RequestError::TimedOut { .. } => CliError::new(Code::Unreachable, consequence)
            .because(error)
            .with_hint("`skein doctor` looks for the cause; --request-timeout gives more time"),
        RequestError::Publish(PublishError::Send { .. }) => {
            CliError::new(Code::Unreachable, consequence).because(error)
        }
    }
}

/// There is no connection to the servers of `context`.
pub(super) fn of_connection(context: &Context, error: &ConnectError) -> CliError {
    let servers = context.servers.join(", ");
    let (code, message, hint) = match error {
        ConnectError::Refused { .. } => (
            Code::Unauthenticated,
            format!(
                "the bus does not accept the credentials of user {}",
                context.user
            ),
            "they may have expired or been revoked: ask an administrator of the hub for new ones",
        ),
        ConnectError::Credentials { .. } => (
            Code::LocalFile,
            format!(
                "cannot use the credentials {}",
                context.credentials.display()
            ),
            "`skein context show` prints which file the context names",
        ),
        _ => (
            Code::Unreachable,
            format!("cannot reach the bus at {servers}"),
            "is the hub running? `skein up` starts one; `skein context list` shows where you look",
        ),
    };
    CliError::new(code, message).because(error).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(body: &str) -> Result<(), String> {
        let message = Message {
            subject: "x".into(),
            reply: None,
            headers: skein_nats::Headers::new(),
            body: body.to_owned().into(),
        };
        check_stored(Ok(message), Uuid::nil()).map_err(|error| error.render())
    }

    fn failed(error: RequestError) -> String {
        check_stored(Err(error), Uuid::nil()).unwrap_err().render()
    }

    #[test]
    fn only_an_acknowledged_command_is_stored() {
        assert_eq!(answered(r#"{"stream":"COMMANDS","seq":7}"#), Ok(()));
        let full = r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"},"stream":"COMMANDS","seq":0}"#;
        insta::assert_snapshot!(answered(full).unwrap_err(), @"
        error: the bus refused the command: maximum messages exceeded (10077); it was not stored, nothing has changed (SK5002)
        hint: commands wait until a hub takes them, and no more may wait: `skein doctor` tells whether one leads
        ");
        let large = r#"{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"}}"#;
        assert!(answered(large).unwrap_err().contains("(SK1006)"));
        let other = r#"{"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}"#;
        assert!(answered(other).unwrap_err().contains("(SK5001)"));
        for unreadable in ["", "{}", "+OK", "[]"] {
            let told = answered(unreadable).unwrap_err();
            assert!(
                told.contains("it is not known whether"),
                "{unreadable:?}: {told}"
            );
        }
    }

    #[test]
    fn what_is_not_known_is_not_denied() {
        let subject = || "x".to_owned();
        let nothing = "the command was not stored; nothing has changed";
        let nobody = failed(RequestError::NobodyThere { subject: subject() });
        assert!(nobody.contains(nothing), "{nobody}");
        let large = failed(
            PublishError::TooLarge {
                subject: subject(),
                size: 9,
            }
            .into(),
        );
        assert!(
            large.contains(nothing) && large.contains("(SK1006)"),
            "{large}"
        );
        let id = Uuid::nil().to_string();
        for unknown in [
            failed(RequestError::TimedOut { subject: subject() }),
            no_result(Uuid::nil(), Duration::from_secs(30)).render(),
            lost(Uuid::nil()).render(),
        ] {
            assert!(
                unknown.contains("it is not known whether")
                    && unknown.contains(&id)
                    && unknown.contains("skein events --since 5m -o wide"),
                "{unknown}"
            );
        }
    }
}
