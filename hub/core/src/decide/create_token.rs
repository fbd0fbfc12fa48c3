//! Create a join token.

use jiff::SignedDuration;
use skein_schema::code::{Code, Refusal};
use skein_schema::command::{Change, TokenGrant};
use skein_schema::decode::{is_label_key, is_label_value};
use skein_schema::event::Event;
use skein_schema::kind::managed_cluster::CLUSTER_SET_LABEL;
use skein_schema::name::{ClusterName, SetName};
use skein_schema::object::ObjectKey;

use super::{Context, Decision, Gate, Subject};
use crate::access;
use crate::nkey;
use crate::world::World;

/// Longest life of a token, in days: it is a secret that lies around.
pub(super) const LIFE_MAX_DAYS: i64 = 366;
/// Most clusters that may join by one token.
pub(super) const USES_MAX: u32 = 100_000;

pub(super) fn decide(
    world: &World,
    grant: &TokenGrant,
    context: &Context<'_>,
    gate: &mut Gate<'_>,
) -> Result<Decision, Refusal> {
    gate.ask(access::on_token("create", &grant.token))?;
    check(grant, context)?;
    let set = grant
        .clusterset
        .clone()
        .unwrap_or_else(SetName::default_set);
    let key = ObjectKey::clusterset(&set);
    gate.ask(access::on_join(&key.name))?;
    if grant.auto_accept {
        gate.ask(access::on_accept(
            grant.cluster.as_ref().map_or("", ClusterName::as_str),
        ))?;
    }
    if grant.clusterset.is_some() && world.get(&key).is_none() {
        return Err(
            Refusal::new(Code::NotFound, format!("{key} does not exist"))
                .with_hint(format!("skein clusterset create {set}")),
        );
    }
    if world.token(&grant.token).is_some() {
        return Err(Refusal::new(
            Code::AlreadyExists,
            format!("tokens/{} exists already", grant.token),
        )
        .with_hint("choose another name; a token is never made anew"));
    }
    let subject = Subject::Token(grant.token.clone());
    Ok(Decision::new(
        subject,
        Change::Created,
        vec![Event::TokenCreated(grant.clone())],
    ))
}

fn check(grant: &TokenGrant, context: &Context<'_>) -> Result<(), Refusal> {
    let mut wrong = Vec::new();
    let last = context
        .now
        .saturating_add(SignedDuration::from_hours(24 * LIFE_MAX_DAYS))
        .unwrap_or(context.now);
    if grant.expires_at <= context.now {
        wrong.push(("expiresAt".to_owned(), "must lie in the future".to_owned()));
    } else if grant.expires_at > last {
        wrong.push((
            "expiresAt".to_owned(),
            format!("must be within {LIFE_MAX_DAYS} days"),
        ));
    }
    if grant.uses == 0 || grant.uses > USES_MAX {
        wrong.push((
            "uses".to_owned(),
            format!("must be between 1 and {USES_MAX}"),
        ));
    }
    if !nkey::is_user_key(&grant.public_key) {
        wrong.push(("publicKey".to_owned(), format!("must be {}", nkey::RULE)));
    }
    for (key, value) in &grant.labels {
        let shown: String = key.chars().take(80).collect();
        if !is_label_key(key) || !is_label_value(value) {
            wrong.push((
                format!("labels[{shown}]"),
                "must be a label key and a label value".to_owned(),
            ));
        } else if key == CLUSTER_SET_LABEL {
            wrong.push((
                format!("labels[{shown}]"),
                "the set is said by clusterset".to_owned(),
            ));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let refusal = Refusal::new(
        Code::InvalidArgument,
        format!("token {:?} is invalid", grant.token.as_str()),
    );
    Err(wrong.into_iter().fold(refusal, |refusal, (path, message)| {
        refusal.with_cause(path, message)
    }))
}
