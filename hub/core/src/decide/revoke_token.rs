//! Revoke a join token.

use skein_schema::code::{Code, Refusal};
use skein_schema::command::Change;
use skein_schema::event::{Event, TokenRevoked};
use skein_schema::name::TokenName;

use super::{Decision, Gate, Subject};
use crate::access;
use crate::world::World;

pub(super) fn decide(
    world: &World,
    token: &TokenName,
    gate: &mut Gate<'_>,
) -> Result<Decision, Refusal> {
    gate.ask(access::on_token("delete", token))?;
    let subject = Subject::Token(token.clone());
    match world.token(token) {
        None => Err(
            Refusal::new(Code::NotFound, format!("tokens/{token} does not exist"))
                .with_hint("skein token list"),
        ),
        Some(found) if found.revoked => Ok(Decision::unchanged(subject)),
        Some(_) => Ok(Decision::new(
            subject,
            Change::Revoked,
            vec![Event::TokenRevoked(TokenRevoked {
                token: token.clone(),
            })],
        )),
    }
}
