//! The subject grammar. This is the only file of the workspace that spells a subject, stream,
//! bucket or durable name; everything else asks here.
//!
//! A token is built from a checked name by [`escape`], so `*`, `>`, white space, dots and empty
//! tokens cannot get into a subject.

use uuid::Uuid;

use crate::digest::Digest;
use crate::name::{ClusterName, NameError, SetName, TokenName, UserName, Workspace};

/// The truth: one message per accepted command or decision.
pub const LEDGER_STREAM: &str = "LEDGER";
/// Commands that wait for a decision.
pub const COMMANDS_STREAM: &str = "COMMANDS";
/// Signed desired-state messages, one subject per clusterset and cluster.
pub const DESIRED_STREAM: &str = "DESIRED";
/// Manifests by digest.
pub const CONTENT_STREAM: &str = "CONTENT";
/// What agents report.
pub const STATUS_STREAM: &str = "STATUS";
/// Object store bucket of folded state.
pub const SNAPSHOTS_BUCKET: &str = "SNAPSHOTS";
/// Key-value bucket of the lead hub's lease.
pub const LEASES_BUCKET: &str = "LEASES";
/// Durable consumer of [`COMMANDS_STREAM`], shared by all hubs: the lead one pulls.
pub const COMMANDS_DURABLE: &str = "hub";

/// Everything the LEDGER stream captures.
pub const LEDGER_ALL: &str = "ledger.>";
/// Everything the COMMANDS stream captures; also the service that USERS import.
pub const COMMANDS_ALL: &str = "cmd.*.*";
/// Everything the DESIRED stream captures.
pub const DESIRED_ALL: &str = "desired.*.*";
/// Where the DESIRED stream republishes what it has stored.
pub const LIVE_DESIRED_ALL: &str = "live.desired.*.*";
/// Republish destination of [`DESIRED_ALL`], as JetStream's transform spells it.
pub const LIVE_DESIRED_TRANSFORM: &str = "live.desired.{{wildcard(1)}}.{{wildcard(2)}}";
/// Everything the CONTENT stream captures.
pub const CONTENT_ALL: &str = "content.*";
/// Everything the STATUS stream captures; also the service that AGENTS import.
pub const STATUS_ALL: &str = "status.*.*";
/// All heartbeats.
pub const BEAT_ALL: &str = "beat.*.*";
/// All catch-up requests.
pub const SYNC_ALL: &str = "sync.*.*";
/// All credential renewals.
pub const RENEW_ALL: &str = "renew.*.*";
/// All join requests.
pub const JOIN_ALL: &str = "join.*";
/// All queries.
pub const QUERY_ALL: &str = "query.*.*";
/// All results.
pub const RESULT_ALL: &str = "result.*.*";

/// Queue group in which hub replicas share queries, catch-up, renewals and joins.
pub const HUB_QUEUE: &str = "hub";

/// The text in a permission template that the server replaces by the caller's checked name.
pub const NAME_TEMPLATE: &str = "{{name()}}";

/// Makes one subject token out of any text.
///
/// Letters, digits and `-` stay; a dot becomes `_`; every other byte becomes `=` and two
/// hexadecimal digits. Different texts give different tokens ([`unescape`] turns it back), and a
/// checked name without dots is its own token.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut token = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => token.push(char::from(byte)),
            b'.' => token.push('_'),
            other => token.push_str(&format!("={other:02X}")),
        }
    }
    token
}

/// Turns a token made by [`escape`] back, or `None` if it was not made there.
#[must_use]
pub fn unescape(token: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'_' => bytes.push(b'.'),
            b'=' => {
                let digits = [rest.next()?, rest.next()?];
                bytes.push(data_encoding::HEXUPPER.decode(&digits).ok()?[0]);
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => bytes.push(byte),
            _ => return None,
        }
    }
    String::from_utf8(bytes).ok()
}

/// `ledger.<kind>.<workspace or _>.<name>`: where the record about an object is appended. `kind` is
/// the plural of a resource, or `tokens`, `commands`.
#[must_use]
pub fn ledger(kind: &str, workspace: Option<&Workspace>, name: &str) -> String {
    let workspace = workspace.map_or_else(|| "_".to_owned(), |w| escape(w.as_str()));
    format!("ledger.{}.{workspace}.{}", escape(kind), escape(name))
}

/// `cmd.<user>.<verb>`: where a user publishes a command.
#[must_use]
pub fn command(user: &UserName, verb: &str) -> String {
    format!("cmd.{}.{}", escape(user.as_str()), escape(verb))
}

/// `result.<user>.<command id>`: where the answer to a command appears.
#[must_use]
pub fn result(user: &UserName, command: Uuid) -> String {
    format!("result.{}.{command}", escape(user.as_str()))
}

/// `query.<user>.<what>`: where a user asks.
#[must_use]
pub fn query(user: &UserName, what: &str) -> String {
    format!("query.{}.{}", escape(user.as_str()), escape(what))
}

/// `status.<set>.<cluster>`: where an agent reports.
#[must_use]
pub fn status(set: &SetName, cluster: &ClusterName) -> String {
    of_cluster("status", set, cluster)
}

/// `beat.<set>.<cluster>`: where an agent beats.
#[must_use]
pub fn beat(set: &SetName, cluster: &ClusterName) -> String {
    of_cluster("beat", set, cluster)
}

/// `sync.<set>.<cluster>`: where an agent asks for what it missed.
#[must_use]
pub fn sync(set: &SetName, cluster: &ClusterName) -> String {
    of_cluster("sync", set, cluster)
}

/// `renew.<set>.<cluster>`: where an agent asks for a fresh credential.
#[must_use]
pub fn renew(set: &SetName, cluster: &ClusterName) -> String {
    of_cluster("renew", set, cluster)
}

/// `desired.<set>.<cluster>`: where the hub stores a cluster's desired-state messages.
#[must_use]
pub fn desired(set: &SetName, cluster: &ClusterName) -> String {
    of_cluster("desired", set, cluster)
}

/// `live.desired.*.<cluster>`: what an agent listens on, whatever its set.
#[must_use]
pub fn live_desired_of(cluster: &ClusterName) -> String {
    format!("live.desired.*.{}", escape(cluster.as_str()))
}

/// `join.<token>`: where the holder of a join token asks to be let in.
#[must_use]
pub fn join(token: &TokenName) -> String {
    format!("join.{}", escape(token.as_str()))
}

/// `content.<digest>`: where a manifest is stored.
#[must_use]
pub fn content(digest: &Digest) -> String {
    format!("content.{digest}")
}

/// Where JetStream answers reads of a stream by sequence and subject, several messages to one
/// request. Only hubs may ask.
#[must_use]
pub fn direct_get(stream: &str) -> String {
    format!("$JS.API.DIRECT.GET.{stream}")
}

fn of_cluster(kind: &str, set: &SetName, cluster: &ClusterName) -> String {
    format!(
        "{kind}.{}.{}",
        escape(set.as_str()),
        escape(cluster.as_str())
    )
}

/// The inbox prefix of a credential's holder; the bus lets it subscribe below this and nowhere
/// else. `name` is a checked label.
#[must_use]
pub fn inbox_prefix(name: &str) -> String {
    format!("_INBOX_{name}")
}

/// The inbox prefix of a join token's holder. It differs from [`inbox_prefix`]: agents and tokens
/// share an account, and a token called as a cluster must not hear that cluster's answers. `name`
/// is a checked label.
#[must_use]
pub fn join_inbox_prefix(name: &str) -> String {
    format!("_JOIN_{name}")
}

/// Where everybody but the holder of a join token receives answers, as a permission template.
pub const INBOX_TEMPLATE: &str = "_INBOX_{{name()}}.>";

/// Where the holder of a join token receives answers, as a permission template.
pub const JOIN_INBOX_TEMPLATE: &str = "_JOIN_{{name()}}.>";

/// What an agent may publish, as permission templates. Everybody may write to their own inbox: what
/// comes back from there tells that the server has read all that was sent before.
pub const AGENT_PUBLISH: &[&str] = &[
    "status.*.{{name()}}",
    "beat.*.{{name()}}",
    "sync.*.{{name()}}",
    "renew.*.{{name()}}",
    INBOX_TEMPLATE,
];
/// What an agent may subscribe to, as permission templates.
pub const AGENT_SUBSCRIBE: &[&str] = &["live.desired.*.{{name()}}", INBOX_TEMPLATE];
/// What the holder of a join token may publish.
pub const BOOTSTRAP_PUBLISH: &[&str] = &["join.{{name()}}", JOIN_INBOX_TEMPLATE];
/// What the holder of a join token may subscribe to.
pub const BOOTSTRAP_SUBSCRIBE: &[&str] = &[JOIN_INBOX_TEMPLATE];
/// What a user may publish.
pub const USER_PUBLISH: &[&str] = &["cmd.{{name()}}.*", "query.{{name()}}.*", INBOX_TEMPLATE];
/// What a user may subscribe to.
pub const USER_SUBSCRIBE: &[&str] = &["result.{{name()}}.*", INBOX_TEMPLATE];

/// A subject that is not what its place in the grammar says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Wrong number of tokens, or another first token.
    #[error("subject {subject:?} is not of the form {form}")]
    Form {
        /// The subject found.
        subject: String,
        /// The form expected, e.g. `status.<set>.<cluster>`.
        form: &'static str,
    },
    /// A token is not a name.
    #[error("subject {subject:?} has no valid {what}")]
    Name {
        /// The subject found.
        subject: String,
        /// Which token, e.g. `cluster`.
        what: &'static str,
        /// The rule it breaks.
        #[source]
        source: NameError,
    },
}

/// Reads `cmd.<user>.<verb>`.
///
/// # Errors
/// When the subject has another form or the user is not a name.
pub fn parse_command(subject: &str) -> Result<(UserName, String), SubjectError> {
    parse_user(subject, "cmd", "cmd.<user>.<verb>")
}

/// Reads `query.<user>.<what>`.
///
/// # Errors
/// When the subject has another form or the user is not a name.
pub fn parse_query(subject: &str) -> Result<(UserName, String), SubjectError> {
    parse_user(subject, "query", "query.<user>.<what>")
}

/// Reads `<kind>.<set>.<cluster>` for the kinds `status`, `beat`, `sync`, `renew` and `desired`.
///
/// # Errors
/// When the subject has another form or a token is not a name.
pub fn parse_of_cluster(subject: &str) -> Result<(SetName, ClusterName), SubjectError> {
    const FORM: &str = "<kind>.<set>.<cluster>";
    let tokens: Vec<&str> = subject.split('.').collect();
    let [
        "status" | "beat" | "sync" | "renew" | "desired",
        set,
        cluster,
    ] = tokens[..]
    else {
        return Err(form(subject, FORM));
    };
    let set =
        SetName::new(unescape(set).ok_or_else(|| form(subject, FORM))?).map_err(|source| {
            SubjectError::Name {
                subject: subject.to_owned(),
                what: "set",
                source,
            }
        })?;
    let cluster = ClusterName::new(unescape(cluster).ok_or_else(|| form(subject, FORM))?).map_err(
        |source| SubjectError::Name {
            subject: subject.to_owned(),
            what: "cluster",
            source,
        },
    )?;
    Ok((set, cluster))
}

/// Reads `join.<token>`.
///
/// # Errors
/// When the subject has another form or the token is not a name.
pub fn parse_join(subject: &str) -> Result<TokenName, SubjectError> {
    const FORM: &str = "join.<token>";
    let token = subject
        .strip_prefix("join.")
        .and_then(unescape)
        .ok_or_else(|| form(subject, FORM))?;
    TokenName::new(token).map_err(|source| SubjectError::Name {
        subject: subject.to_owned(),
        what: "token",
        source,
    })
}

fn parse_user(
    subject: &str,
    first: &str,
    expected: &'static str,
) -> Result<(UserName, String), SubjectError> {
    let tokens: Vec<&str> = subject.split('.').collect();
    match tokens[..] {
        [head, user, last] if head == first => {
            let user = UserName::new(user).map_err(|source| SubjectError::Name {
                subject: subject.to_owned(),
                what: "user",
                source,
            })?;
            let last = unescape(last).ok_or_else(|| form(subject, expected))?;
            Ok((user, last))
        }
        _ => Err(form(subject, expected)),
    }
}

fn form(subject: &str, form: &'static str) -> SubjectError {
    SubjectError::Form {
        subject: subject.to_owned(),
        form,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_has_its_golden_form() {
        let set = SetName::new("eu.west").unwrap();
        let cluster = ClusterName::new("c1").unwrap();
        let user = UserName::new("alice").unwrap();
        let id = Uuid::from_u128(7);
        assert_eq!(desired(&set, &cluster), "desired.eu_west.c1");
        assert_eq!(status(&set, &cluster), "status.eu_west.c1");
        assert_eq!(beat(&set, &cluster), "beat.eu_west.c1");
        assert_eq!(sync(&set, &cluster), "sync.eu_west.c1");
        assert_eq!(renew(&set, &cluster), "renew.eu_west.c1");
        assert_eq!(live_desired_of(&cluster), "live.desired.*.c1");
        assert_eq!(command(&user, "apply"), "cmd.alice.apply");
        assert_eq!(
            result(&user, id),
            "result.alice.00000000-0000-0000-0000-000000000007"
        );
        assert_eq!(query(&user, "get"), "query.alice.get");
        assert_eq!(join(&TokenName::new("t1").unwrap()), "join.t1");
        assert_eq!(
            ledger(
                "manifestworks",
                Some(&Workspace::new("c1").unwrap()),
                "web.v2"
            ),
            "ledger.manifestworks.c1.web_v2"
        );
        assert_eq!(
            ledger("managedclusters", None, "c1"),
            "ledger.managedclusters._.c1"
        );
        assert!(content(&Digest::of(b"")).starts_with("content.e3b0c442"));
    }

    #[test]
    fn subjects_are_read_back() {
        let (set, cluster) = parse_of_cluster("status.eu_west.c1").unwrap();
        assert_eq!((set.as_str(), cluster.as_str()), ("eu.west", "c1"));
        assert_eq!(parse_command("cmd.alice.apply").unwrap().1, "apply");
        for bad in [
            "status.c1",
            "status.a.b.c",
            "status.a.*",
            "status..c1",
            "live.a.c1",
            "status.a.C1",
        ] {
            assert!(parse_of_cluster(bad).is_err(), "{bad}");
        }
        for bad in [
            "cmd.alice",
            "cmd.*.apply",
            "cmd.alice.apply.x",
            "query.alice.x",
            "cmd..apply",
        ] {
            assert!(parse_command(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn escape_is_injective_and_safe() {
        for text in [
            "a.b",
            "a_b",
            "a=2E",
            "*",
            ">",
            "a b",
            "",
            "ä",
            "system:masters",
            "\u{0}",
        ] {
            let token = escape(text);
            assert!(
                !token.contains(['.', '*', '>', ' ', '\t', '\u{0}']),
                "{token}"
            );
            assert_eq!(unescape(&token).as_deref(), Some(text));
        }
    }
}
