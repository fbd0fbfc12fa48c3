//! Who may say what on the bus: the access model, as one table.
//!
//! Account tokens are made from this table and from nothing else, so what
//! [`describe`] prints is what the servers enforce.
//!
//! The shape follows from one property of NATS: inside an account a client may name
//! *any* reply subject, and the server then publishes an acknowledgement there, past
//! the client's own permissions. So the streams are in HUB, which hubs alone use.
//! Agents and users are in accounts of their own without any storage; what they
//! publish crosses into HUB as a service call, for which the server rewrites the
//! reply subject. What is left (a planted message *inside* AGENTS) is met by
//! signatures, not by the bus.

use std::fmt::Write as _;

use crate::jwt::{AnswerKind, ExportKind};
use skein_schema::subject;

/// An account: a space of subjects of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// The servers' own: advisories, and the accounts' tokens.
    Sys,
    /// The streams, and the hubs.
    Hub,
    /// The agents, and the holders of join tokens.
    Agents,
    /// People and their programs.
    Users,
}

impl Account {
    /// All, in the order they are declared in.
    pub const ALL: [Self; 4] = [Self::Sys, Self::Hub, Self::Agents, Self::Users];

    /// The name that servers log and files are called by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sys => "SYS",
            Self::Hub => "HUB",
            Self::Agents => "AGENTS",
            Self::Users => "USERS",
        }
    }
}

/// What somebody is on the bus. Each has a signing key, whose template says what its holders may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Tells servers which accounts there are, and hears who comes and goes.
    System,
    /// A hub replica.
    Hub,
    /// A managed cluster's agent.
    Agent,
    /// The holder of a join token.
    Bootstrap,
    /// A person or a program.
    User,
}

impl Role {
    /// All, in the order they are declared in.
    pub const ALL: [Self; 5] = [
        Self::System,
        Self::Hub,
        Self::Agent,
        Self::Bootstrap,
        Self::User,
    ];

    /// The name in tokens and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Hub => "hub",
            Self::Agent => "agent",
            Self::Bootstrap => "bootstrap",
            Self::User => "user",
        }
    }

    /// The account it lives in.
    #[must_use]
    pub fn account(self) -> Account {
        match self {
            Self::System => Account::Sys,
            Self::Hub => Account::Hub,
            Self::Agent | Self::Bootstrap => Account::Agents,
            Self::User => Account::Users,
        }
    }

    /// The prefix of the inboxes that a holder of this role and `name` may listen on.
    ///
    /// Agents and join tokens share an account, so their prefixes differ: else a token
    /// called as a cluster would hear that cluster's answers.
    #[must_use]
    pub fn inbox_prefix(self, name: &str) -> String {
        match self {
            Self::Bootstrap => subject::join_inbox_prefix(name),
            Self::System | Self::Hub | Self::Agent | Self::User => subject::inbox_prefix(name),
        }
    }
}

/// What one account offers to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// The subject, the same on both sides.
    pub subject: &'static str,
    /// The way messages flow.
    pub kind: ExportKind,
    /// For a service, how many answers a request may get.
    pub answers: Option<AnswerKind>,
    /// Whether the server tells the exporter who asks.
    pub share: bool,
    /// The account that offers it.
    pub from: Account,
    /// The account that takes it.
    pub to: Account,
    /// What it is for.
    pub purpose: &'static str,
}

/// What a role may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleRule {
    /// The role.
    pub role: Role,
    /// Subjects it may publish on; `{{name()}}` is its checked name.
    pub publish: Vec<String>,
    /// Subjects it may subscribe to.
    pub subscribe: Vec<String>,
    /// The most subscriptions one client may hold; -1 for any number.
    pub subscriptions: i64,
    /// The largest message in bytes; -1 for what the server takes.
    pub payload: i64,
}

/// The largest message an agent, a join token's holder or a user may send, in bytes. The bus
/// itself takes 8 MiB; what goes to a stream is limited again by the stream.
pub const CLIENT_PAYLOAD: i64 = 4 * 1024 * 1024;

/// The largest join request, in bytes.
const BOOTSTRAP_PAYLOAD: i64 = 64 * 1024;

/// Everything that crosses from one account to another.
#[must_use]
pub fn crossings() -> Vec<Crossing> {
    use Account::{Agents, Hub, Users};
    use AnswerKind::{Singleton, Stream};
    let service = |to, subject, answers, purpose| Crossing {
        subject,
        kind: ExportKind::Service,
        answers: Some(answers),
        // Who asks stands in the subject, which the server has checked. USERS also share it for
        // audit; agents are told by their subject alone.
        share: to == Users,
        from: Hub,
        to,
        purpose,
    };
    let stream = |to, subject, purpose| Crossing {
        subject,
        kind: ExportKind::Stream,
        answers: None,
        share: false,
        from: Hub,
        to,
        purpose,
    };
    vec![
        service(
            Users,
            subject::COMMANDS_ALL,
            Stream,
            "commands; the first answer is the stream's acknowledgement",
        ),
        service(
            Users,
            subject::QUERY_ALL,
            Stream,
            "queries; several answers to one",
        ),
        stream(Users, subject::RESULT_ALL, "results of commands"),
        service(
            Agents,
            subject::STATUS_ALL,
            Singleton,
            "status; the answer is the stream's acknowledgement",
        ),
        service(Agents, subject::BEAT_ALL, Singleton, "heartbeats"),
        service(
            Agents,
            subject::SYNC_ALL,
            Stream,
            "catching up, and contents by digest",
        ),
        service(
            Agents,
            subject::RENEW_ALL,
            Singleton,
            "renewal of credentials",
        ),
        service(Agents, subject::JOIN_ALL, Singleton, "joining"),
        stream(
            Agents,
            subject::LIVE_DESIRED_ALL,
            "desired state, as it is stored",
        ),
    ]
}

/// What each role may do.
#[must_use]
pub fn roles() -> Vec<RoleRule> {
    let rule = |role, publish: &[&str], subscribe: &[&str], subscriptions, payload| RoleRule {
        role,
        publish: publish.iter().map(ToString::to_string).collect(),
        subscribe: subscribe.iter().map(ToString::to_string).collect(),
        subscriptions,
        payload,
    };
    vec![
        rule(Role::System, SYSTEM_PUBLISH, SYSTEM_SUBSCRIBE, -1, -1),
        rule(Role::Hub, &[">"], &[">"], -1, -1),
        // An agent needs one inbox and one live subject; the rest is room for requests.
        rule(
            Role::Agent,
            subject::AGENT_PUBLISH,
            subject::AGENT_SUBSCRIBE,
            16,
            CLIENT_PAYLOAD,
        ),
        rule(
            Role::Bootstrap,
            subject::BOOTSTRAP_PUBLISH,
            subject::BOOTSTRAP_SUBSCRIBE,
            4,
            BOOTSTRAP_PAYLOAD,
        ),
        rule(
            Role::User,
            subject::USER_PUBLISH,
            subject::USER_SUBSCRIBE,
            64,
            CLIENT_PAYLOAD,
        ),
    ]
}

/// What the hub needs of the servers themselves: NATS' own subjects, not Skein's.
const SYSTEM_PUBLISH: &[&str] = &[
    "$SYS.REQ.CLAIMS.UPDATE",
    "$SYS.REQ.CLAIMS.LIST",
    "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP",
    "$SYS.REQ.ACCOUNT.*.CONNZ",
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.SERVER.PING.>",
    subject::INBOX_TEMPLATE,
];
const SYSTEM_SUBSCRIBE: &[&str] = &[
    "$SYS.ACCOUNT.*.CONNECT",
    "$SYS.ACCOUNT.*.DISCONNECT",
    subject::INBOX_TEMPLATE,
];

/// The table as Markdown, for the documentation and for a person to read.
#[must_use]
pub fn describe() -> String {
    let mut out =
        String::from("| role | account | may publish | may subscribe |\n|---|---|---|---|\n");
    for rule in roles() {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} |",
            rule.role.name(),
            rule.role.account().name(),
            code(&rule.publish),
            code(&rule.subscribe),
        );
    }
    out.push_str("\n| subject | offered by | taken by | as | for |\n|---|---|---|---|---|\n");
    for crossing in crossings() {
        let kind = match crossing.kind {
            ExportKind::Stream => "stream",
            ExportKind::Service => "service",
        };
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {kind} | {} |",
            crossing.subject,
            crossing.from.name(),
            crossing.to.name(),
            crossing.purpose,
        );
    }
    out
}

fn code(subjects: &[String]) -> String {
    subjects
        .iter()
        .map(|subject| format!("`{subject}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hubs_have_an_unbounded_right() {
        for rule in roles() {
            let open = rule
                .publish
                .iter()
                .chain(&rule.subscribe)
                .any(|subject| subject == ">");
            assert_eq!(open, rule.role == Role::Hub, "{:?}", rule.role);
        }
    }

    #[test]
    fn agents_tokens_and_users_are_bound_to_their_name_in_every_subject() {
        for rule in roles()
            .into_iter()
            .filter(|rule| rule.role.account() != Account::Hub)
        {
            let bound = |subject: &String| subject.contains("{{name()}}");
            assert!(
                rule.role == Role::System || rule.publish.iter().all(bound),
                "{rule:?}"
            );
            assert!(
                rule.role == Role::System || rule.subscribe.iter().all(bound),
                "{rule:?}"
            );
        }
    }

    #[test]
    fn nobody_but_the_hub_publishes_what_the_hub_says() {
        for rule in roles().into_iter().filter(|rule| rule.role != Role::Hub) {
            for subject in &rule.publish {
                for hubs in [
                    "desired.", "live.", "result.", "ledger.", "content.", "$JS.",
                ] {
                    assert!(
                        !subject.starts_with(hubs),
                        "{:?} may publish {subject}",
                        rule.role
                    );
                }
            }
        }
    }

    #[test]
    fn a_token_named_as_a_cluster_has_another_inbox() {
        assert_ne!(
            Role::Bootstrap.inbox_prefix("c1"),
            Role::Agent.inbox_prefix("c1")
        );
        for rule in roles()
            .into_iter()
            .filter(|rule| !matches!(rule.role, Role::Hub))
        {
            let inbox = format!("{}.>", rule.role.inbox_prefix("{{name()}}"));
            assert!(
                rule.subscribe.contains(&inbox),
                "{:?} may not hear answers on {inbox}",
                rule.role
            );
        }
    }

    #[test]
    fn everybody_may_write_to_their_own_inbox() {
        for rule in roles().into_iter().filter(|rule| rule.role != Role::Hub) {
            let inbox = format!("{}.>", rule.role.inbox_prefix("{{name()}}"));
            assert!(rule.publish.contains(&inbox), "{:?}", rule.role);
        }
    }

    #[test]
    fn what_a_client_may_publish_crosses_into_hub_or_comes_back_to_it_alone() {
        let crossings = crossings();
        for rule in roles()
            .into_iter()
            .filter(|rule| matches!(rule.role.account(), Account::Agents | Account::Users))
        {
            let inbox = format!("{}.>", rule.role.inbox_prefix("{{name()}}"));
            for subject in rule.publish.iter().filter(|subject| **subject != inbox) {
                let first = subject.split('.').next();
                assert!(
                    crossings.iter().any(
                        |c| c.to == rule.role.account() && c.subject.split('.').next() == first
                    ),
                    "{subject} leads nowhere"
                );
            }
        }
    }

    #[test]
    fn the_table_can_be_read() {
        let text = describe();
        assert!(
            text.contains("| agent | AGENTS | `status.*.{{name()}}`"),
            "{text}"
        );
        assert!(
            text.contains("| `cmd.*.*` | HUB | USERS | service |"),
            "{text}"
        );
    }
}
