//! What an agent says of itself, checked: it is the first thing that a stranger can put into the
//! ledger.

use serde_json::{Value, json};
use skein_schema::code::{Code, Refusal};
use skein_schema::decode::{self, Unknown};
use skein_schema::event::AgentKeys;
use skein_schema::join::JoinRequest;
use skein_schema::kind::admission::{self, AdmissionRules};
use skein_schema::kind::managed_cluster::{CLUSTER_SET_LABEL, ManagedCluster};
use skein_schema::name::{ClusterName, SetName};
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};

use super::{given_set, is_set_label};
use crate::decide::{Context, add_hub_taints, complete};
use crate::nkey;
use crate::stamp;
use crate::world::{TokenRecord, World};

/// Prefix of annotations that an agent may set (OCM's).
const AGENT_ANNOTATIONS: &str = "agent.open-cluster-management.io";
/// Largest certificate request, in bytes of PEM.
const CERTIFICATE_REQUEST_MAX: usize = 8 * 1024;
/// Most labels and annotations, each.
const ENTRIES_MAX: usize = 64;
/// Most claims: the reserved ones and as many of the owner's own as an agent sends at most.
const CLAIMS_MAX: usize = 64;
/// Largest request, in bytes of JSON, keys left aside.
const REQUEST_MAX: usize = 64 * 1024;
/// Longest version of an agent, in characters.
const VERSION_MAX: usize = 64;

/// The cluster that joins.
#[derive(Debug)]
pub(super) struct Joining {
    /// Its object: the one that is there, or the one to be made.
    pub(super) cluster: ManagedCluster,
    /// The agent's version.
    pub(super) agent_version: String,
}

/// Checks an agent's public keys, and that no other cluster has them.
pub(super) fn check_keys(
    world: &World,
    cluster: &ClusterName,
    keys: &AgentKeys,
) -> Result<(), Refusal> {
    let mut wrong = Vec::new();
    if !nkey::is_user_key(&keys.nkey) {
        wrong.push(("keys.nkey", nkey::RULE));
    }
    if let Some(key) = &keys.sealing_key {
        let raw = data_encoding::BASE64.decode(key.as_bytes());
        if !raw.is_ok_and(|raw| raw.len() == 32) {
            wrong.push(("keys.sealingKey", "32 bytes in base64"));
        }
    }
    if let Some(pem) = &keys.certificate_request
        && (pem.len() > CERTIFICATE_REQUEST_MAX
            || !pem.starts_with("-----BEGIN CERTIFICATE REQUEST-----"))
    {
        wrong.push((
            "keys.certificateRequest",
            "a certificate request in PEM of at most 8 KiB",
        ));
    }
    if !wrong.is_empty() {
        let refusal = Refusal::new(
            Code::InvalidArgument,
            format!("the keys of cluster {cluster} are invalid"),
        );
        return Err(wrong.into_iter().fold(refusal, |refusal, (path, rule)| {
            refusal.with_cause(path, format!("must be {rule}"))
        }));
    }
    let others = world.clusters().filter(|(name, _)| *name != cluster);
    let mut taken = others.flat_map(|(_, record)| {
        let pending = record.pending.as_ref().map(|pending| &pending.keys.nkey);
        let current = record.keys.as_ref().map(|keys| &keys.nkey);
        [pending, current, record.rolled_from.as_ref()]
    });
    if taken.any(|taken| taken == Some(&keys.nkey)) {
        // Not said whose: the sender may be a stranger.
        return Err(
            Refusal::new(Code::KeyMismatch, "another cluster has this key").with_hint(
                "each cluster makes its own keys: remove the agent's state and join again",
            ),
        );
    }
    Ok(())
}

/// The object of the cluster that joins. One that is there already stays as it is: whoever made it
/// has said what it is to be, and an agent is not asked.
pub(super) fn cluster_of(
    request: &JoinRequest,
    token: &TokenRecord,
    found: Option<&ManagedCluster>,
    context: &Context<'_>,
) -> Result<Joining, Refusal> {
    let set = given_set(&token.grant);
    check_size(request)?;
    check_wishes(request, &set)?;
    let mut labels = request.labels.clone();
    labels.extend(token.grant.labels.clone());
    labels.insert(CLUSTER_SET_LABEL.to_owned(), set.to_string());

    let info = KindName::ManagedCluster.info();
    let document = json!({
        "apiVersion": info.api_version(),
        "kind": info.kind,
        "metadata": {"name": request.cluster, "labels": labels, "annotations": request.annotations},
        "spec": {"managedClusterClientConfigs": request.client_configs},
        "status": {"clusterClaims": request.claims},
    });
    let what = format!("the request of cluster {} to join", request.cluster);
    let refuse = |errors: Vec<_>| Refusal::of_fields(&what, &errors);
    let decoded = decode::decode(document, Unknown::Refuse).map_err(refuse)?;
    let rules = AdmissionRules::at(stamp::whole_seconds(context.now));
    let admitted = admission::admit(decoded.resource, None, &rules).map_err(refuse)?;
    let mut resource = admitted.resource;
    if let Resource::ManagedCluster(cluster) = &mut resource {
        cluster.status = None;
        add_hub_taints(cluster, context);
    }
    complete(
        &mut resource,
        None,
        &ObjectKey::cluster(&request.cluster),
        context,
    );
    let made = match resource {
        Resource::ManagedCluster(cluster) => *cluster,
        _ => ManagedCluster::default(),
    };
    Ok(Joining {
        cluster: found.cloned().unwrap_or(made),
        agent_version: request.agent_version.clone(),
    })
}

fn check_size(request: &JoinRequest) -> Result<(), Refusal> {
    let too_large = |path: &str, message: String| {
        Refusal::new(
            Code::TooLarge,
            format!(
                "the request of cluster {} to join is too large",
                request.cluster
            ),
        )
        .with_cause(path, message)
    };
    let counts = [
        ("labels", request.labels.len(), ENTRIES_MAX),
        ("annotations", request.annotations.len(), ENTRIES_MAX),
        ("claims", request.claims.len(), CLAIMS_MAX),
        ("clientConfigs", request.client_configs.len(), ENTRIES_MAX),
        (
            "agentVersion",
            request.agent_version.chars().count(),
            VERSION_MAX,
        ),
    ];
    if let Some((path, found, max)) = counts.into_iter().find(|(_, found, max)| found > max) {
        return Err(too_large(
            path,
            format!("is {found} long, at most {max} are allowed"),
        ));
    }
    let rest = json!([
        request.labels,
        request.annotations,
        request.claims,
        request.client_configs
    ]);
    let bytes = Value::to_string(&rest).len();
    if bytes > REQUEST_MAX {
        return Err(too_large(
            "",
            format!("has {bytes} bytes, at most {REQUEST_MAX} are allowed"),
        ));
    }
    Ok(())
}

/// An agent may not choose its set (in OCM it lacks the permission), nor annotations of others.
fn check_wishes(request: &JoinRequest, set: &SetName) -> Result<(), Refusal> {
    let what = format!("the request of cluster {} to join", request.cluster);
    if let Some((_, wish)) = request
        .labels
        .iter()
        .find(|(key, wish)| is_set_label(key) && *wish != set.as_str())
    {
        let wish: String = wish.chars().take(63).collect();
        return Err(Refusal::new(
            Code::TokenMismatch,
            format!("{what} asks for set {wish:?}; the token is for set {set}"),
        )
        .with_cause(
            format!("labels[{CLUSTER_SET_LABEL}]"),
            format!("must be {set:?} or absent", set = set.as_str()),
        )
        .with_hint("ask for a token for the other set"));
    }
    let foreign = request
        .annotations
        .keys()
        .find(|key| !key.starts_with(AGENT_ANNOTATIONS));
    match foreign {
        Some(key) => {
            let key: String = key.chars().take(80).collect();
            Err(
                Refusal::new(Code::InvalidField, format!("{what} is invalid")).with_cause(
                    format!("annotations[{key}]"),
                    format!("an agent's annotations start with {AGENT_ANNOTATIONS}"),
                ),
            )
        }
        None => Ok(()),
    }
}
