//! An agent as the hub sees it: it joins, beats, listens, asks for what it missed.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use futures::StreamExt as _;
use ring::signature::{ED25519, UnparsedPublicKey};
use skein_nats::accounts::Role;
use skein_nats::connect::{
    Connection, Credentials, Retry, Settings, Subscription, UserCredentials, connect,
};
use skein_nats::nkey::{Key, KeyKind};
use skein_nats::{Headers, Message};
use skein_schema::desired::{DesiredChange, DesiredHeader, DesiredMessage, headers, signed_bytes};
use skein_schema::event::AgentKeys;
use skein_schema::join::{Credential, JoinAnswer, JoinRequest, RenewRequest};
use skein_schema::name::{ClusterName, SetName, TokenName};
use skein_schema::status::{Heartbeat, StatusMessage, StatusUpdate};
use skein_schema::subject;
use skein_schema::sync::{PART_HEADER, SyncEnd, SyncPart, SyncRequest};
use uuid::Uuid;

use crate::user::{User, cluster_name, new_id, now};
use crate::wait::{self, PATIENCE};

/// The holder of a join token.
pub(crate) struct Joiner {
    pub(crate) connection: Connection,
    token: TokenName,
    pub(crate) key: Key,
    request: Uuid,
    cluster: ClusterName,
}

impl Joiner {
    /// Enters the bus with a token's credential, wanting to be `cluster`.
    pub(crate) async fn enter(
        user: &User,
        token: &str,
        key: &Key,
        jwt: &str,
        cluster: &str,
    ) -> Self {
        let credentials = UserCredentials {
            jwt: jwt.to_owned(),
            seed: key.seed().to_owned(),
        };
        let mut settings = Settings::new(
            user.servers.clone(),
            "joiner",
            Credentials::Fixed(credentials),
            Role::Bootstrap.inbox_prefix(token),
        );
        settings.retry = Retry::No;
        let connection = connect(&settings).await.expect("the token lets in");
        Self {
            connection,
            token: TokenName::new(token).unwrap(),
            key: Key::generate(KeyKind::User),
            request: new_id(),
            cluster: cluster_name(cluster),
        }
    }

    /// Asks once.
    pub(crate) async fn ask(&self) -> JoinAnswer {
        let request = JoinRequest {
            request: self.request,
            time: now(),
            cluster: self.cluster.clone(),
            keys: self.keys(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            claims: Vec::new(),
            client_configs: Vec::new(),
            agent_version: "0.1.0".into(),
        };
        self.send(serde_json::to_vec(&request).unwrap()).await
    }

    /// Asks with any body.
    pub(crate) async fn send(&self, body: Vec<u8>) -> JoinAnswer {
        let subject = subject::join(&self.token);
        let answer = wait::until("an answer to the join", || async {
            self.connection
                .request(&subject, Headers::new(), body.clone().into())
                .await
                .ok()
        })
        .await;
        serde_json::from_slice(&answer.body).expect("a join answer")
    }

    /// Asks until a credential comes.
    pub(crate) async fn joined(self) -> Agent {
        let credential = wait::until("the credential", || async {
            match self.ask().await {
                JoinAnswer::Issued(credential) => Some(*credential),
                JoinAnswer::Pending { .. } => None,
                JoinAnswer::Refused(refusal) => panic!("not let in: {refusal:?}"),
            }
        })
        .await;
        Agent {
            key: self.key,
            credential,
            session: new_id(),
            cluster: self.cluster,
        }
    }

    fn keys(&self) -> AgentKeys {
        let pair = rcgen::KeyPair::generate().expect("a key");
        let request = rcgen::CertificateParams::default()
            .serialize_request(&pair)
            .expect("a request");
        // The same request each time: who repeats a wish repeats its keys.
        static REQUEST: std::sync::OnceLock<String> = std::sync::OnceLock::new();
        let pem = REQUEST.get_or_init(|| request.pem().expect("PEM"));
        AgentKeys {
            nkey: self.key.public().to_owned(),
            sealing_key: Some("c2VhbGluZyBrZXkgb2YgdGhlIHRlc3QgY2x1c3RlcjE=".into()),
            certificate_request: Some(pem.clone()),
        }
    }
}

/// A cluster's agent that was let in.
pub(crate) struct Agent {
    pub(crate) key: Key,
    pub(crate) credential: Credential,
    session: Uuid,
    pub(crate) cluster: ClusterName,
}

/// A desired message whose signature was checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) header: DesiredHeader,
    pub(crate) message: DesiredMessage,
}

impl Agent {
    /// Joins `cluster` by a token that lets in at once.
    pub(crate) async fn join(user: &User, cluster: &str) -> Self {
        let token = format!("t-{cluster}");
        let (key, jwt) = user.token(&token, true).await;
        Joiner::enter(user, &token, &key, &jwt, cluster)
            .await
            .joined()
            .await
    }

    /// Enters the bus.
    pub(crate) async fn enter(&self, user: &User) -> Connection {
        self.try_enter(user).await.expect("the credential lets in")
    }

    pub(crate) async fn try_enter(
        &self,
        user: &User,
    ) -> Result<Connection, skein_nats::connect::ConnectError> {
        let jwt = self.credential.jwt.clone();
        let credentials = UserCredentials {
            jwt,
            seed: self.key.seed().to_owned(),
        };
        let prefix = Role::Agent.inbox_prefix(self.cluster.as_str());
        let mut settings = Settings::new(
            user.servers.clone(),
            "agent",
            Credentials::Fixed(credentials),
            prefix,
        );
        settings.retry = Retry::No;
        connect(&settings).await
    }

    pub(crate) async fn listen(&self, connection: &Connection) -> Subscription {
        let live = connection
            .subscribe(&subject::live_desired_of(&self.cluster))
            .await
            .expect("subscribed");
        connection.round_trip().await.expect("a round trip");
        live
    }

    /// Checks a message as an agent does.
    pub(crate) fn check(&self, message: &Message) -> Told {
        let get = |name: &str| message.headers.get(name);
        let header = DesiredHeader::from_headers(self.cluster.clone(), get).expect("the headers");
        let key = &self.credential.signing_keys[&header.key_id];
        let key = UnparsedPublicKey::new(
            &ED25519,
            BASE64URL_NOPAD.decode(key.as_bytes()).expect("base64"),
        );
        let signature = get(headers::SIGNATURE).expect("a signature");
        let signature = BASE64URL_NOPAD
            .decode(signature.as_bytes())
            .expect("base64");
        key.verify(&signed_bytes(&header, &message.body), &signature)
            .expect("signed by the hub");
        Told {
            header,
            message: serde_json::from_slice(&message.body).expect("a desired message"),
        }
    }

    /// The next live message.
    pub(crate) async fn told(&self, live: &mut Subscription) -> Told {
        let message = wait::within("a desired message", live.next())
            .await
            .expect("connected");
        self.check(&message)
    }

    /// Beats once.
    pub(crate) async fn beat(&self, connection: &Connection, healthy: bool) {
        let beat = Heartbeat {
            session: self.session,
            time: now(),
            rev: 0,
            kube_api_healthy: healthy,
            message: None,
        };
        let subject = subject::beat(&self.credential.clusterset, &self.cluster);
        let body = serde_json::to_vec(&beat).unwrap();
        connection
            .publish(&subject, Headers::new(), body.into())
            .await
            .expect("published");
        connection.round_trip().await.expect("a round trip");
    }

    /// Reports, and waits until the report is stored.
    pub(crate) async fn report(
        &self,
        connection: &Connection,
        number: u64,
        updates: Vec<StatusUpdate>,
    ) {
        let message = StatusMessage {
            session: self.session,
            number,
            rev: 0,
            time: now(),
            traceparent: None,
            updates,
        };
        let subject = subject::status(&self.credential.clusterset, &self.cluster);
        let body = serde_json::to_vec(&message).unwrap();
        skein_nats::status::report(connection, &subject, Headers::new(), body.into())
            .await
            .expect("stored");
    }

    /// Asks for what it missed behind `rev`.
    pub(crate) async fn sync(&self, connection: &Connection, rev: u64) -> (Vec<Told>, SyncEnd) {
        let (parts, end) = self
            .ask(
                connection,
                &SyncRequest::Desired {
                    session: self.session,
                    rev,
                },
            )
            .await;
        (parts.iter().map(|part| self.check(part)).collect(), end)
    }

    /// Asks for anything on the sync subject.
    pub(crate) async fn ask(
        &self,
        connection: &Connection,
        request: &SyncRequest,
    ) -> (Vec<Message>, SyncEnd) {
        self.ask_raw(connection, serde_json::to_vec(request).unwrap())
            .await
    }

    pub(crate) async fn ask_raw(
        &self,
        connection: &Connection,
        body: Vec<u8>,
    ) -> (Vec<Message>, SyncEnd) {
        // The set in the subject may be an old one.
        let subject = subject::sync(&SetName::new("whatever").unwrap(), &self.cluster);
        let asked = connection
            .request_many(&subject, Headers::new(), body.into())
            .await;
        let mut answers = asked.expect("asked");
        let mut parts = Vec::new();
        loop {
            let message = answers.next(PATIENCE).await.expect("an answer");
            match message.headers.get(PART_HEADER).and_then(SyncPart::parse) {
                Some(SyncPart::End) => {
                    return (
                        parts,
                        serde_json::from_slice(&message.body).expect("an end"),
                    );
                }
                Some(SyncPart::Desired | SyncPart::Content) => parts.push(message),
                None => panic!("an answer without {PART_HEADER}"),
            }
        }
    }

    /// Renews its credential with the keys it has.
    pub(crate) async fn renew(&self, connection: &Connection) -> JoinAnswer {
        let keys = AgentKeys {
            nkey: self.key.public().to_owned(),
            sealing_key: None,
            certificate_request: None,
        };
        let request = RenewRequest {
            request: new_id(),
            time: now(),
            keys,
        };
        let subject = subject::renew(&self.credential.clusterset, &self.cluster);
        let body = serde_json::to_vec(&request).unwrap();
        let answer = connection
            .request(&subject, Headers::new(), body.into())
            .await
            .expect("an answer");
        serde_json::from_slice(&answer.body).expect("a join answer")
    }
}

/// The names of works in a snapshot's part.
pub(crate) fn snapshot_works(told: &Told) -> Vec<String> {
    match &told.message.changes[..] {
        [DesiredChange::Snapshot(part)] => part
            .works
            .iter()
            .map(|work| work.name.to_string())
            .collect(),
        other => panic!("no snapshot: {other:?}"),
    }
}
