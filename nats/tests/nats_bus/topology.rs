//! The declared streams on a real server.

use skein_nats::topology::{self, TopologyError};

use crate::support::Bus;

#[tokio::test]
async fn missing_streams_are_made_once_and_then_found_as_declared() {
    let bus = Bus::bare().await;
    assert!(matches!(
        topology::check(&bus.hub, 1).await,
        Err(TopologyError::Missing { .. })
    ));
    let made = topology::ensure(&bus.hub, 1).await.expect("made");
    assert_eq!(
        made,
        [
            "LEDGER",
            "COMMANDS",
            "DESIRED",
            "CONTENT",
            "STATUS",
            "OBJ_SNAPSHOTS",
            "KV_LEASES"
        ]
    );
    assert_eq!(
        topology::ensure(&bus.hub, 1).await.expect("found"),
        Vec::<String>::new()
    );
    topology::check(&bus.hub, 1).await.expect("as declared");
    bus.stop().await;
}

#[tokio::test]
async fn a_stream_that_differs_is_printed_and_left_alone() {
    let bus = Bus::start().await;
    let jetstream = async_nats::jetstream::new(bus.hub.raw());
    let mut stream = jetstream.get_stream("STATUS").await.expect("there");
    let mut config = stream.info().await.expect("info").config.clone();
    config.max_messages = 7;
    jetstream
        .update_stream(config)
        .await
        .expect("changed behind our back");

    let refused = topology::ensure(&bus.hub, 1).await.expect_err("differs");
    let TopologyError::Differs { differences } = &refused else {
        panic!("{refused}")
    };
    assert_eq!(differences.len(), 1);
    assert!(
        refused
            .to_string()
            .ends_with("  STATUS\n    max_msgs: declared -1, found 7"),
        "{refused}"
    );
    assert_eq!(
        stream.info().await.expect("info").config.max_messages,
        7,
        "left as it is"
    );
    bus.stop().await;
}

#[tokio::test]
async fn the_ledger_refuses_to_be_shortened() {
    let bus = Bus::start().await;
    let jetstream = async_nats::jetstream::new(bus.hub.raw());
    jetstream
        .publish("ledger.works.c1.web", "{}".into())
        .await
        .expect("sent")
        .await
        .expect("stored");
    let stream = jetstream.get_stream("LEDGER").await.expect("there");
    assert!(stream.delete_message(1).await.is_err());
    assert!(stream.purge().await.is_err());
    assert_eq!(stream.get_info().await.expect("info").state.messages, 1);
    bus.stop().await;
}
