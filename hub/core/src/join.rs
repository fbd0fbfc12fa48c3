//! Joining: an agent with a token asks to be let in, asks again until somebody has decided, and
//! renews its credential from then on.
//!
//! Whoever asks twice with the same keys gets the same answer. Whoever asks for a name that another
//! agent has, waits until a person accepts it again: nobody takes a cluster over silently.

use jiff::{SignedDuration, Timestamp};
use skein_schema::code::{Code, Refusal};
use skein_schema::command::{Change, TokenGrant};
use skein_schema::event::{
    AgentKeys, Applied, ClusterJoinRequested, CredentialIssued, CredentialRevoked, Event,
};
use skein_schema::join::{JoinRequest, RenewRequest};
use skein_schema::kind::managed_cluster::{CLUSTER_SET_LABEL, ManagedCluster};
use skein_schema::name::{ClusterName, SetName, TokenName};
use skein_schema::object::ObjectKey;
use skein_schema::resource::Resource;

use crate::clusterset::exclusive_set;
use crate::decide::{Context, Decision, Subject, acceptance};
use crate::world::{AgentKeyRecord, ClusterRecord, TokenRecord, World};

mod request;

/// How long a credential lives, in hours. Agents renew it when a fifth to a quarter is left. The
/// fold of revocations goes by it: one that is to be another needs a new version of snapshots.
pub const CREDENTIAL_LIFE_HOURS: i64 = 24;
/// The field manager of what an agent says of its cluster when it joins.
const AGENT_MANAGER: &str = "klusterlet";

/// What is to be recorded, and what to answer.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinDecision {
    /// What is to be recorded; empty when the answer was decided before.
    pub decision: Decision,
    /// What to answer once that is stored.
    pub verdict: JoinVerdict,
}

/// The answer to an agent that asks to be let in, or to renew.
#[derive(Debug, Clone, PartialEq)]
pub enum JoinVerdict {
    /// Somebody has yet to accept it.
    Pending {
        /// What the agent's owner should be told.
        message: String,
    },
    /// It gets a credential.
    Issue(Box<Grant>),
}

/// A credential to mint.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// For which cluster.
    pub cluster: ClusterName,
    /// Its set now.
    pub clusterset: SetName,
    /// For which keys.
    pub keys: AgentKeys,
    /// From when.
    pub issued_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Decides a request on `join.<token>`. `context.command` is the request's id.
///
/// # Errors
/// Why the agent is refused. Nothing is recorded then: what the holder of a token says in vain
/// must not fill the ledger.
pub fn decide_join(
    world: &World,
    token: &TokenName,
    request: &JoinRequest,
    context: &Context<'_>,
) -> Result<JoinDecision, Refusal> {
    let token = world
        .token(token)
        .filter(|token| !token.revoked)
        .ok_or_else(|| {
            Refusal::new(
                Code::TokenUnknown,
                "there is no such join token, or it was revoked",
            )
            .with_hint("ask whoever gave it to you for another")
        })?;
    let cluster = &request.cluster;
    let key = ObjectKey::cluster(cluster);
    let found = match world.get(&key).map(|found| &**found) {
        Some(Resource::ManagedCluster(found)) => Some(&**found),
        _ => None,
    };
    let keys = AgentKeyRecord::from(&request.keys);
    let record = world.cluster(cluster);
    if let (Some(found), Some(record)) = (found, record) {
        check_not_shut_out(cluster, found, record, &keys)?;
        // A wish that was made in time is answered also when the token has ended since.
        if !token.clusters.contains(cluster) {
            check_token(token, cluster, true, context)?;
        }
        if let Some(decision) = known(world, found, record, &keys, request, context) {
            return Ok(decision);
        }
    }
    check_token(token, cluster, found.is_some(), context)?;
    check_pending(record, token, &keys)?;
    request::check_keys(world, cluster, &request.keys)?;
    let joining = request::cluster_of(request, token, found, context)?;
    join(world, token, request, joining, found, context)
}

/// Decides a request on `renew.<set>.<cluster>`. `context.command` is the request's id.
///
/// # Errors
/// Why the agent is refused.
pub fn decide_renew(
    world: &World,
    cluster: &ClusterName,
    request: &RenewRequest,
    context: &Context<'_>,
) -> Result<JoinDecision, Refusal> {
    let found = world
        .get(&ObjectKey::cluster(cluster))
        .map(|found| &**found);
    let Some(Resource::ManagedCluster(found)) = found else {
        return Err(shut_out(cluster, "was detached"));
    };
    let Some(record) = world.cluster(cluster) else {
        return Err(shut_out(cluster, "was detached"));
    };
    let (Some(known), true) = (&record.keys, found.spec.hub_accepts_client) else {
        return Err(shut_out(cluster, "is not accepted"));
    };
    let keys = AgentKeyRecord::from(&request.keys);
    if let Some(decision) = repeated(found, record, &keys, &request.keys, context) {
        return Ok(decision);
    }
    request::check_keys(world, cluster, &request.keys)?;
    let rolls = *known != keys;
    let mut events = vec![issued(cluster, &request.keys, rolls, context)];
    // The key before the last roll-over ends when the new one is used, which is now; or the new
    // one ends because its answer never arrived and the agent comes back with the old one.
    let unused = match &record.rolled_from {
        Some(old) if *old == keys.nkey => Some(&known.nkey),
        Some(old) => Some(old),
        None => None,
    };
    events.extend(unused.map(|nkey| {
        Event::CredentialRevoked(CredentialRevoked {
            cluster: cluster.clone(),
            nkey: nkey.clone(),
        })
    }));
    Ok(issue(found, &request.keys, events, cluster, context))
}

/// What is wanted was asked for before with the same keys: the answer follows from what is known.
fn known(
    world: &World,
    found: &ManagedCluster,
    record: &ClusterRecord,
    keys: &AgentKeyRecord,
    request: &JoinRequest,
    context: &Context<'_>,
) -> Option<JoinDecision> {
    let cluster = &request.cluster;
    if found.spec.hub_accepts_client && record.keys.as_ref() == Some(keys) {
        let known = repeated(found, record, keys, &request.keys, context);
        return Some(known.unwrap_or_else(|| {
            let events = vec![issued(cluster, &request.keys, false, context)];
            issue(found, &request.keys, events, cluster, context)
        }));
    }
    let pending = record.pending.as_ref()?;
    if pending.keys != *keys {
        return None;
    }
    let subject = Subject::Object(ObjectKey::cluster(cluster));
    Some(JoinDecision {
        decision: Decision::unchanged(subject),
        verdict: waiting(world, cluster),
    })
}

/// The same wish gets the credential that was issued for it.
fn repeated(
    found: &ManagedCluster,
    record: &ClusterRecord,
    keys: &AgentKeyRecord,
    request: &AgentKeys,
    context: &Context<'_>,
) -> Option<JoinDecision> {
    let credential = record.credential.as_ref()?;
    let same = credential.request == context.command
        && credential.nkey == keys.nkey
        && record.keys.as_ref() == Some(keys)
        && credential.expires_at > context.now;
    let cluster = ClusterName::new(found.metadata.name.as_deref()?).ok()?;
    same.then(|| JoinDecision {
        decision: Decision::unchanged(Subject::Object(ObjectKey::cluster(&cluster))),
        verdict: JoinVerdict::Issue(Box::new(Grant {
            clusterset: set_of(found),
            cluster,
            keys: request.clone(),
            issued_at: credential.issued_at,
            expires_at: credential.expires_at,
        })),
    })
}

fn check_not_shut_out(
    cluster: &ClusterName,
    found: &ManagedCluster,
    record: &ClusterRecord,
    keys: &AgentKeyRecord,
) -> Result<(), Refusal> {
    // The agent that is accepted has to come back to clean up: without it, detaching never ends.
    let cleans_up = found.spec.hub_accepts_client && record.keys.as_ref() == Some(keys);
    if found.metadata.deletion_timestamp.is_some() && !cleans_up {
        return Err(shut_out(cluster, "is being detached"));
    }
    if record.opinion.is_some_and(|opinion| !opinion.accepted) {
        return Err(shut_out(cluster, "was denied"));
    }
    Ok(())
}

fn shut_out(cluster: &ClusterName, why: &str) -> Refusal {
    Refusal::new(Code::ClusterDenied, format!("cluster {cluster} {why}")).with_hint(format!(
        "an administrator can let it in: skein accept {cluster}"
    ))
}

/// Whether the token lets this cluster ask. One that `exists` may ask again with a use that it has had;
/// of one that was detached the use is spent, or its agent would be back at once.
fn check_token(
    token: &TokenRecord,
    cluster: &ClusterName,
    exists: bool,
    context: &Context<'_>,
) -> Result<(), Refusal> {
    let grant = &token.grant;
    if grant.expires_at <= context.now {
        return Err(Refusal::new(
            Code::TokenExpired,
            format!("the join token has expired at {}", grant.expires_at),
        )
        .with_hint("ask whoever gave it to you for another"));
    }
    if let Some(bound) = grant.cluster.as_ref().filter(|bound| *bound != cluster) {
        return Err(Refusal::new(
            Code::TokenMismatch,
            format!("the join token is for another cluster than {cluster}"),
        )
        .with_hint(format!("join as {bound}, or ask for a token for {cluster}")));
    }
    let has_use = exists && token.clusters.contains(cluster);
    if !has_use && token.used() >= grant.uses {
        return Err(Refusal::new(
            Code::TokenExhausted,
            format!(
                "the join token was used as often as it may be: {} times",
                grant.uses
            ),
        )
        .with_hint("ask whoever gave it to you for another"));
    }
    Ok(())
}

/// Who waits is not pushed aside by the holder of another token: somebody would accept a cluster
/// they did not look at.
fn check_pending(
    record: Option<&ClusterRecord>,
    token: &TokenRecord,
    keys: &AgentKeyRecord,
) -> Result<(), Refusal> {
    match record.and_then(|record| record.pending.as_deref()) {
        Some(pending) if pending.keys != *keys && pending.token != token.grant.token => {
            Err(Refusal::new(
                Code::KeyMismatch,
                "another agent is waiting to be let in under this name",
            )
            .with_hint("join under another name, or have an administrator deny the one that waits"))
        }
        _ => Ok(()),
    }
}

/// Whether the token lets the cluster in without a second person.
///
/// Whoever made a cluster's object in advance has said what it is to be, perhaps with works that
/// wait for it: a token that was given out for other clusters must not be enough to become it. The
/// token has to name the cluster, which may then also have been accepted in advance; or it is for
/// the set that the cluster is in, and nobody has accepted the cluster for somebody else.
fn lets_in(grant: &TokenGrant, cluster: &ClusterName, found: Option<&ManagedCluster>) -> bool {
    let Some(found) = found else {
        return grant.auto_accept;
    };
    let accepted = found.spec.hub_accepts_client;
    if grant.cluster.as_ref() == Some(cluster) {
        return grant.auto_accept || accepted;
    }
    grant.auto_accept && !accepted && set_of(found) == given_set(grant)
}

/// The set that a token gives.
fn given_set(grant: &TokenGrant) -> SetName {
    let set = grant.clusterset.clone();
    set.unwrap_or_else(SetName::default_set)
}

/// Records the wish; lets the cluster in at once where [`lets_in`] says so.
fn join(
    world: &World,
    token: &TokenRecord,
    request: &JoinRequest,
    joining: request::Joining,
    found: Option<&ManagedCluster>,
    context: &Context<'_>,
) -> Result<JoinDecision, Refusal> {
    let (cluster, grant) = (&request.cluster, &token.grant);
    let set = set_of(&joining.cluster);
    let mut events = vec![Event::ClusterJoinRequested(Box::new(
        ClusterJoinRequested {
            cluster: cluster.clone(),
            token: grant.token.clone(),
            clusterset: set,
            keys: request.keys.clone(),
            labels: joining.cluster.metadata.labels.clone().unwrap_or_default(),
            annotations: joining
                .cluster
                .metadata
                .annotations
                .clone()
                .unwrap_or_default(),
            claims: request.claims.clone(),
            client_configs: request.client_configs.clone(),
            agent_version: joining.agent_version,
        },
    ))];
    if found.is_none() {
        events.push(Event::Applied(Box::new(Applied {
            resource: Resource::from(joining.cluster.clone()),
            manager: AGENT_MANAGER.to_owned(),
        })));
    }
    let had_agent = world
        .cluster(cluster)
        .is_some_and(|record| record.keys.is_some());
    if !had_agent && lets_in(grant, cluster, found) {
        events.extend(acceptance(world, cluster, true, context));
        events.push(issued(cluster, &request.keys, false, context));
        return Ok(issue(
            &joining.cluster,
            &request.keys,
            events,
            cluster,
            context,
        ));
    }
    let subject = Subject::Object(ObjectKey::cluster(cluster));
    Ok(JoinDecision {
        decision: Decision::new(subject, Change::Created, events),
        verdict: waiting(world, cluster),
    })
}

fn waiting(world: &World, cluster: &ClusterName) -> JoinVerdict {
    let had_agent = world
        .cluster(cluster)
        .is_some_and(|record| record.keys.is_some());
    let message = if had_agent {
        format!(
            "another agent was accepted as {cluster} before; an administrator has to accept this one: skein accept {cluster}"
        )
    } else {
        format!("an administrator has to accept the cluster: skein accept {cluster}")
    };
    JoinVerdict::Pending { message }
}

fn expiry(context: &Context<'_>) -> Timestamp {
    let life = SignedDuration::from_hours(CREDENTIAL_LIFE_HOURS);
    let end = context.now.saturating_add(life).unwrap_or(Timestamp::MAX);
    crate::stamp::whole_seconds(end)
}

fn issued(cluster: &ClusterName, keys: &AgentKeys, rolls: bool, context: &Context<'_>) -> Event {
    Event::CredentialIssued(CredentialIssued {
        cluster: cluster.clone(),
        nkey: keys.nkey.clone(),
        expires_at: expiry(context),
        keys: rolls.then(|| Box::new(keys.clone())),
    })
}

fn issue(
    found: &ManagedCluster,
    keys: &AgentKeys,
    events: Vec<Event>,
    cluster: &ClusterName,
    context: &Context<'_>,
) -> JoinDecision {
    JoinDecision {
        decision: Decision::new(
            Subject::Object(ObjectKey::cluster(cluster)),
            Change::Accepted,
            events,
        ),
        verdict: JoinVerdict::Issue(Box::new(Grant {
            cluster: cluster.clone(),
            clusterset: set_of(found),
            keys: keys.clone(),
            issued_at: context.now,
            expires_at: expiry(context),
        })),
    }
}

/// The set whose name is in a cluster's subjects: the one its label names, or `default`.
#[must_use]
pub fn set_of(cluster: &ManagedCluster) -> SetName {
    exclusive_set(cluster)
        .and_then(|name| SetName::new(name).ok())
        .unwrap_or_else(SetName::default_set)
}

/// Whether a label says which set a cluster is in.
fn is_set_label(key: &str) -> bool {
    key == CLUSTER_SET_LABEL
}

#[cfg(test)]
mod tests;
