//! What somebody with a valid credential, a NATS client of their own making and bad
//! intentions can do. Every attack runs against the real server and the real access
//! model; each states what must hold, and that nothing else happened is asserted on
//! every stream, in the account of the hubs, and at the victims.

mod credentials;
mod headers;
mod publish;
mod replies;
mod siege;
mod subscribe;
