//! Stable error codes and the refusal that carries one.
//!
//! A code never changes its meaning. Each has a page in `docs/errors/`; the command line derives
//! its exit code from the code's [`Kind`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::decode::{FieldError, Problem};

/// Longest message of a bounded refusal and of each of its causes, in characters.
pub const MESSAGE_MAX: usize = 500;
/// Longest path of a bounded refusal's cause, in characters.
pub const PATH_MAX: usize = 200;
/// Longest hint of a bounded refusal and of each of its causes, in characters.
pub const HINT_MAX: usize = 300;
/// Most causes of a bounded refusal; the last one counts the rest.
pub const CAUSES_MAX: usize = 50;
/// Largest bounded refusal, in bytes of JSON.
pub const REFUSAL_MAX: usize = 8 * 1024;
/// What the cause that counts the rest takes at most, in bytes of JSON.
const REST_MAX: usize = 64;

/// What sort of failure a code is; decides the exit code and whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The input is wrong. Trying again without changing it cannot help.
    Invalid,
    /// The thing asked for does not exist.
    NotFound,
    /// The world is not as the request assumes. Read again, then decide.
    Conflict,
    /// The caller may not do this.
    Denied,
    /// The system cannot answer now. Trying again later can help.
    Unavailable,
    /// A defect of ours or damage to our data.
    Internal,
}

impl Kind {
    /// Exit code of the command line for this kind.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Invalid => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Denied => 5,
            Self::Unavailable => 6,
            Self::Internal => 70,
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $kind:ident;)*) => {
        /// A stable error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as people see it, e.g. `SK1002`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// What sort of failure it is.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }
        }
    };
}

codes! {
    /// The document is not YAML or JSON, or not an object.
    MalformedDocument = "SK1001", Invalid;
    /// No such apiVersion and kind.
    UnknownKind = "SK1002", Invalid;
    /// A field that the kind does not have.
    UnknownField = "SK1003", Invalid;
    /// A field whose value is not allowed.
    InvalidField = "SK1004", Invalid;
    /// A name that breaks the naming rules.
    InvalidName = "SK1005", Invalid;
    /// A document, or a work's manifests, over the size limit.
    TooLarge = "SK1006", Invalid;
    /// A message written by a newer Skein than this one.
    UnsupportedVersion = "SK1007", Invalid;
    /// A Secret inside a work that is not sealed to its cluster.
    NotSealed = "SK1008", Invalid;
    /// A selector, time, sequence or other argument that cannot be read.
    InvalidArgument = "SK1009", Invalid;
    /// The object does not exist.
    NotFound = "SK2001", NotFound;
    /// The object exists already.
    AlreadyExists = "SK2002", Conflict;
    /// The object changed since it was read.
    Conflict = "SK2003", Conflict;
    /// The object is being deleted.
    BeingDeleted = "SK2004", Conflict;
    /// The object is one that must always be there.
    Protected = "SK2005", Conflict;
    /// The object is still used by others.
    InUse = "SK2006", Conflict;
    /// The past asked for is not kept, or lies in the future.
    OutOfRange = "SK2007", NotFound;
    /// The caller has no right to do this.
    Forbidden = "SK3001", Denied;
    /// No such join token, or it was revoked.
    TokenUnknown = "SK3002", Denied;
    /// The join token has expired.
    TokenExpired = "SK3003", Denied;
    /// The join token was used as often as it may be.
    TokenExhausted = "SK3004", Denied;
    /// The join token is for another cluster.
    TokenMismatch = "SK3005", Denied;
    /// The cluster was denied or detached.
    ClusterDenied = "SK3006", Denied;
    /// The key does not belong to the cluster that presents it.
    KeyMismatch = "SK3007", Denied;
    /// The bus does not know the credential, or it has expired.
    Unauthenticated = "SK3008", Denied;
    /// The command was not decided before its deadline.
    DeadlineExceeded = "SK4001", Unavailable;
    /// The sender's clock is too far from the bus's.
    ClockSkew = "SK4002", Invalid;
    /// No server could be reached.
    Unreachable = "SK5001", Unavailable;
    /// No hub answers.
    NoHub = "SK5002", Unavailable;
    /// The hub has stopped deciding because its ledger lost or changed records.
    Fenced = "SK5003", Unavailable;
    /// A stream is not configured as it must be.
    TopologyDiffers = "SK5004", Unavailable;
    /// A stored event cannot be read.
    Undecodable = "SK5005", Internal;
    /// A defect of Skein.
    Internal = "SK5006", Internal;
    /// A local file cannot be read or written.
    LocalFile = "SK5007", Invalid;
    /// A program or server that is needed is missing or too old.
    MissingProgram = "SK5008", Unavailable;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One place of the input that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Where, as kubectl writes it: `spec.taints[0].effect`. Empty for the whole document.
    pub path: String,
    /// What is wrong there and what is allowed.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Cause {
    fn bounded(&self) -> Self {
        Self {
            path: excerpt(&self.path, PATH_MAX),
            message: excerpt(&self.message, MESSAGE_MAX),
            hint: self.hint.as_ref().map(|hint| excerpt(hint, HINT_MAX)),
        }
    }

    /// What stands for causes that are not listed.
    fn rest(count: usize) -> Self {
        Self {
            path: String::new(),
            message: format!("and {count} more"),
            hint: None,
        }
    }
}

impl From<&FieldError> for Cause {
    fn from(error: &FieldError) -> Self {
        Self {
            path: error.path.clone(),
            message: error.problem.to_string(),
            hint: error.hint.clone(),
        }
    }
}

/// A refusal as a value: recorded in the ledger, sent to the caller, shown to people.
///
/// The message is meant for the caller; it never holds a secret nor another tenant's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// One sentence, lower case, without the code.
    pub message: String,
    /// Each wrong place, in document order; empty where the whole request is meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Refusal {
    /// A refusal without causes or hint.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
        }
    }

    /// The refusal of an object whose fields are wrong. `what` names it, e.g. `ManagedCluster "c1"`;
    /// `errors` is not empty.
    #[must_use]
    pub fn of_fields(what: impl fmt::Display, errors: &[FieldError]) -> Self {
        let all = |wanted: fn(&Problem) -> bool| errors.iter().all(|error| wanted(&error.problem));
        let code = if all(|problem| matches!(problem, Problem::Syntax { .. })) {
            Code::MalformedDocument
        } else if all(|problem| matches!(problem, Problem::UnknownKind { .. })) {
            Code::UnknownKind
        } else if all(|problem| matches!(problem, Problem::UnknownField)) {
            Code::UnknownField
        } else if errors.iter().all(|error| error.path == "metadata.name") {
            Code::InvalidName
        } else {
            Code::InvalidField
        };
        let causes = errors.iter().map(Cause::from).collect();
        Self {
            code,
            message: format!("{what} is invalid"),
            causes,
            hint: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds one wrong place.
    #[must_use]
    pub fn with_cause(mut self, path: impl Into<String>, message: impl Into<String>) -> Self {
        self.causes.push(Cause {
            path: path.into(),
            message: message.into(),
            hint: None,
        });
        self
    }

    /// The same refusal, no larger than [`REFUSAL_MAX`]. Refusals quote what was sent, and they
    /// are kept for ever: whoever may send a command must not choose how many bytes that is.
    /// Bounding it again changes nothing.
    #[must_use]
    pub fn bounded(self) -> Self {
        let listed: Vec<_> = self
            .causes
            .iter()
            .take(CAUSES_MAX)
            .map(Cause::bounded)
            .collect();
        let mut bounded = Self {
            code: self.code,
            message: excerpt(&self.message, MESSAGE_MAX),
            causes: Vec::new(),
            hint: self.hint.as_ref().map(|hint| excerpt(hint, HINT_MAX)),
        };
        let frame = r#","causes":[]"#.len();
        let room = REFUSAL_MAX.saturating_sub(json_bytes(&bounded) + frame);
        let sizes: Vec<_> = listed.iter().map(|cause| json_bytes(cause) + 1).collect();
        if self.causes.len() <= CAUSES_MAX && sizes.iter().sum::<usize>() <= room {
            bounded.causes = listed;
            return bounded;
        }
        let mut left = room.saturating_sub(REST_MAX);
        for (cause, size) in listed.into_iter().zip(sizes).take(CAUSES_MAX - 1) {
            let Some(rest) = left.checked_sub(size) else {
                break;
            };
            left = rest;
            bounded.causes.push(cause);
        }
        let rest = self.causes.len() - bounded.causes.len();
        bounded.causes.push(Cause::rest(rest));
        bounded
    }
}

/// The beginning of a text that comes from outside: at most so many characters, the last of them an
/// ellipsis if it was cut.
#[must_use]
pub fn excerpt(text: &str, characters: usize) -> String {
    if text.char_indices().nth(characters).is_none() {
        return text.to_owned();
    }
    let kept = text.chars().take(characters.saturating_sub(1));
    kept.chain(std::iter::once('…')).collect()
}

fn json_bytes<T: Serialize>(value: &T) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_sorted() {
        let texts: Vec<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        let mut sorted = texts.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(texts, sorted);
    }

    #[test]
    fn a_refusal_has_its_golden_wire_form() {
        let refusal = Refusal::new(Code::InvalidField, "ManagedCluster \"c1\" is invalid")
            .with_cause(
                "spec.taints[0].effect",
                "must be one of NoSelect, PreferNoSelect, NoSelectIfNew",
            )
            .with_hint("fix the field and apply again");
        let text = serde_json::to_string(&refusal).unwrap();
        assert_eq!(
            text,
            r#"{"code":"SK1004","message":"ManagedCluster \"c1\" is invalid","causes":[{"path":"spec.taints[0].effect","message":"must be one of NoSelect, PreferNoSelect, NoSelectIfNew"}],"hint":"fix the field and apply again"}"#
        );
        assert_eq!(serde_json::from_str::<Refusal>(&text).unwrap(), refusal);
    }

    #[test]
    fn an_excerpt_ends_between_characters() {
        assert_eq!(excerpt("äöü", 3), "äöü");
        assert_eq!(excerpt("äöüß", 3), "äö…");
        assert_eq!(excerpt(&excerpt("äöüß", 3), 3), "äö…");
        assert_eq!(excerpt("", 3), "");
    }

    #[test]
    fn a_usual_refusal_is_within_its_bounds() {
        let refusal = Refusal::new(Code::InvalidField, "ManagedCluster \"c1\" is invalid")
            .with_cause("spec.taints[0].effect", "must be one of NoSelect")
            .with_hint("fix the field and apply again");
        assert_eq!(refusal.clone().bounded(), refusal);
    }

    #[test]
    fn a_refusal_is_bounded_whatever_was_sent() {
        // A control character takes six bytes of JSON.
        let huge = "\u{1}".repeat(600_000);
        let few = Refusal::new(Code::InvalidField, &huge)
            .with_cause(&huge, &huge)
            .with_hint(&huge);
        let many = (0..100_000).fold(Refusal::new(Code::InvalidField, "x"), |refusal, index| {
            refusal.with_cause(format!("a[{index}]"), "wrong")
        });
        for refusal in [few, many.clone()] {
            let bounded = refusal.bounded();
            let bytes = serde_json::to_vec(&bounded).unwrap().len();
            assert!(bytes <= REFUSAL_MAX, "{bytes}");
            assert_eq!(
                bounded.clone().bounded(),
                bounded,
                "bounded once and for all"
            );
        }
        let many = many.bounded();
        assert_eq!(many.causes.len(), CAUSES_MAX);
        assert_eq!(many.causes[0].path, "a[0]");
        assert_eq!(many.causes[CAUSES_MAX - 1].message, "and 99951 more");
    }
}
